// The console: ns16550a or sifive,uart0, wherever /chosen says it is.
#pragma once

#include "machine.h"

bool console_open(void);
int console_node(void);
void console_listen(void); // use its receive interrupt, if the board wires it; needs interrupts_open()
u32 console_source(void);  // at the PLIC; 0: polled

void console_put(u8 byte);
u8 console_wait(void);          // the next byte; the hart sleeps until it comes
bool console_sleep(u64 until);  // until that time; false if Ctrl-C came first
bool console_interrupted(void); // Ctrl-C was typed; what else was typed is kept for later

void console_transmit_interrupt(bool on); // "transmitter empty" instead of "received"

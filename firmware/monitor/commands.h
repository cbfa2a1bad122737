// One function per command. arguments[0] is the command's name; a missing argument is "".
#pragma once

#include "machine.h"

enum { MAX_ARGUMENTS = 4 };

void command_board(char **arguments);
void command_fdt(char **arguments);

void command_md(char **arguments);
void command_mw(char **arguments);
void command_memtest(char **arguments);

void command_rtc(char **arguments);
void command_rng(char **arguments);
void command_blk(char **arguments);

void command_time(char **arguments);
void command_sleep(char **arguments);
void command_irq(char **arguments);
void command_harts(char **arguments);
void command_regs(char **arguments);
void command_trap(char **arguments);
void command_bench(char **arguments);

void command_reboot(char **arguments);
void command_poweroff(char **arguments);

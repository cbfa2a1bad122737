// What the board is, told for people: the banner and the table of devices; and which memory is free.
#pragma once

#include "machine.h"

struct span {
  u64 start, end;
};

void board_banner(ulong hart);
void board_devices(void);
struct span board_free_memory(void); // the largest piece of RAM in which nothing lies
const char *board_bootargs(void);

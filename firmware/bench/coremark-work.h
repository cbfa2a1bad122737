#pragma once

#include <stdint.h>

// The checksum proves the work.
uint16_t coremark_work(unsigned long iterations);

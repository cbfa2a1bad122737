// Sv39 with everything mapped to itself, and 2 MiB at 1 GiB whose pages a trial moves about. RISC-V Priv 20240411 §10.4
#pragma once

#include "trial.h"

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define RWX (V | R | W | X | A | D)

#define WINDOW 0x40000000ul
// The 2 MiB behind the window, for a page of that size.
#define LARGE (WINDOW + (2ul << 20))

// Makes the tables; answers what satp takes.
ulong make_tables(void);

// The entry of a page in the window.
volatile uint64_t *entry(ulong address);
volatile uint64_t *large_entry(void);

static inline uint64_t leaf(const void *to, ulong flags) { return (ulong)to >> 12 << 10 | flags; }

static inline void map(ulong address, const void *to, ulong flags) { *entry(address) = leaf(to, flags); }

static inline void flush(void) { __asm__ volatile("sfence.vma" : : : "memory"); }
static inline void flush_page(ulong address) { __asm__ volatile("sfence.vma %0" : : "r"(address) : "memory"); }

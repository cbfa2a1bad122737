// Text: output with a small printf, ink, comparisons and numbers. No libc is linked.
#pragma once

#include "machine.h"

enum ink { PLAIN, BOLD, DIM, RED, GREEN, YELLOW, CYAN };

extern bool color; // SGR sequences are written at all; the word "nocolor" in /chosen/bootargs turns them off

void put(char c);
void ink(enum ink which);
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); // %s %c %d %u %x, l, width, '-', '0', '.', '*'
void print_in(enum ink which, const char *text);
void print_repeat(const char *text, int times);
void print_size(u64 bytes, int width);                    // "128 MiB": the largest unit that divides it evenly
void print_decimal(u64 value, u64 unit, int digits);      // value / unit with that many digits after the point
void hex_dump(ulong label, const u8 *bytes, ulong count); // canonical, equal lines folded into '*'

const char *nth(const char *list, ulong index); // in a list of strings one after another; "" ends it
bool same(const char *a, const char *b);
bool has_word(const char *text, const char *word); // words are separated by spaces
ulong length(const char *text);
const char *next_number(const char *text, bool hex, u64 *value); // past the number, or null
bool number(const char *text, bool hex, u64 *value);             // the whole word, 0x, K/M/G after decimals

// Records, strings, small procedures that do little: what Dhrystone found typical of systems programs.
#include "kernel.h"

KERNEL(records, 2000000);

enum kind { FIRST, SECOND, THIRD, FOURTH, FIFTH };

struct record {
  struct record *link;
  enum kind kind, component;
  int value;
  char text[32];
};

static struct record one, other;
static int global, flag, row[50], grid[50][50];
static char letter_a, letter_b;

static NOINLINE int compare_text(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

static NOINLINE void copy_text(char *to, const char *from) {
  while ((*to++ = *from++)) {}
}

static NOINLINE int third(enum kind kind) { return kind == THIRD; }

static NOINLINE enum kind choose(char a, char b) {
  if (a != b) return FIRST;
  letter_a = a;
  return SECOND;
}

static NOINLINE void convert(enum kind from, enum kind *to) {
  *to = third(from) ? from : FOURTH;
  switch (from) {
    case FIRST: *to = FIRST; break;
    case SECOND: *to = global > 100 ? FIRST : FOURTH; break;
    case THIRD: *to = SECOND; break;
    case FOURTH: break;
    case FIFTH: *to = THIRD; break;
  }
}

static NOINLINE void add(int a, int b, int *sum) { *sum = a + 2 + b; }

static NOINLINE void fill(int *line, int (*table)[50], int at, int value) {
  int base = at + 5;
  line[base] = value;
  line[base + 1] = line[base];
  line[base + 30] = base;
  for (int i = base; i <= base + 1; i++) table[base][i] = base;
  table[base][base - 1]++;
  table[base + 20][base] = line[base];
  global = 5;
}

static NOINLINE void chain(struct record *from) {
  struct record *next = from->link;
  *next = one;
  from->value = 5;
  next->value = from->value;
  next->link = from->link;
  if (next->kind == FIRST) {
    next->value = 6;
    convert(from->component, &next->component);
    add(next->value, 10, &next->value);
  } else {
    *from = *next;
  }
}

static NOINLINE int ordered(const char *a, const char *b) {
  int at = 2;
  char found = 0;
  while (at <= 2)
    if (choose(a[at], b[at + 1]) == FIRST) found = 'A', at++;
  if (found >= 'W' && found < 'Z') at = 7;
  if (found == 'R') return 1;
  if (compare_text(a, b) <= 0) return 0;
  global = at + 7;
  return 1;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  one.link = &other;
  one.kind = FIRST;
  one.component = THIRD;
  one.value = 40;
  copy_text(one.text, "A PROGRAM LIKE ANY, SOME STRING");
  char first[32], second[32];
  copy_text(first, "A PROGRAM LIKE ANY, 1'ST STRING");
  for (ulong i = 0; i < iterations; i++) {
    letter_a = 'A';
    flag = letter_a == 'A';
    letter_b = 'B';
    int a = 2, b = 3, c = 0;
    copy_text(second, "A PROGRAM LIKE ANY, 2'ND STRING");
    enum kind kind = SECOND;
    flag = !ordered(first, second);
    while (a < b) {
      c = 5 * a - b;
      add(a, b, &c);
      a++;
    }
    fill(row, grid, a, c);
    chain(&one);
    for (char at = 'A'; at <= letter_b; at++)
      if (kind == choose(at, 'C')) {
        convert(FIRST, &kind);
        copy_text(second, "A PROGRAM LIKE ANY, 3'RD STRING");
        b = (int)i;
      }
    b *= a;
    a = b / c;
    b = 7 * (b - c) - a;
    sum = mix(sum, (uint64_t)(a + b + c + global + flag + other.value + grid[8][7]));
  }
  return sum;
}

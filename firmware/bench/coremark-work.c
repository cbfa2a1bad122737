// An integer benchmark in the spirit of CoreMark, written from scratch: a linked list searched and sorted, small matrices
// multiplied, a state machine that reads numbers out of text, and a CRC over everything.
#include "coremark-work.h"

typedef unsigned long ulong;

// ---- CRC-16/ARC, bit by bit ----

static uint16_t crc16(uint16_t crc, uint32_t value, int bits) {
  for (int i = 0; i < bits; i++, value >>= 1) {
    unsigned odd = (crc ^ value) & 1;
    crc >>= 1;
    if (odd) crc ^= 0xa001;
  }
  return crc;
}

// ---- list ----

enum { ITEMS = 64 };

struct item {
  struct item *next;
  int16_t key, tag;
};

static struct item items[ITEMS];

static struct item *build_list(uint32_t seed) {
  for (int i = 0; i < ITEMS; i++) {
    seed = seed * 1664525 + 1013904223;
    items[i].key = (int16_t)(seed >> 16);
    items[i].tag = (int16_t)i;
    items[i].next = i + 1 < ITEMS ? &items[i + 1] : 0;
  }
  return items;
}

static struct item *reverse(struct item *list) {
  struct item *done = 0;
  while (list) {
    struct item *next = list->next;
    list->next = done;
    done = list;
    list = next;
  }
  return done;
}

static struct item *find(struct item *list, int tag) {
  while (list && list->tag != tag) list = list->next;
  return list;
}

typedef int compare(const struct item *, const struct item *);
static int by_key(const struct item *a, const struct item *b) { return a->key - b->key; }
static int by_tag(const struct item *a, const struct item *b) { return a->tag - b->tag; }

// Bottom-up merge sort: runs of 1, 2, 4, ... are merged until one is left.
static __attribute__((noinline)) struct item *sort(struct item *list, compare *order) {
  for (int run = 1;; run *= 2) {
    struct item *rest = list, **tail = &list;
    int merges = 0;
    while (rest) {
      struct item *left = rest, *right = rest;
      int lefts = 0, rights = run;
      while (lefts < run && right) right = right->next, lefts++;
      while (lefts || (rights && right)) {
        int take_left = lefts && (!rights || !right || order(left, right) <= 0);
        struct item *taken = take_left ? left : right;
        if (take_left) left = left->next, lefts--;
        else right = right->next, rights--;
        *tail = taken;
        tail = &taken->next;
      }
      rest = right;
      merges++;
    }
    *tail = 0;
    if (merges <= 1) return list;
  }
}

static uint16_t list_work(uint32_t seed, uint16_t crc) {
  struct item *list = build_list(seed);
  for (int tag = 0; tag < ITEMS; tag += 5) {
    struct item *found = find(list, tag ^ (int)(seed & 31));
    crc = crc16(crc, found ? (uint16_t)found->key : 0xffff, 16);
    if (tag % 3 == 0) list = reverse(list);
  }
  list = sort(list, by_key);
  for (struct item *at = list; at && at->next; at = at->next)
    if (at->key > at->next->key) crc = crc16(crc, 0xdead, 16);
  crc = crc16(crc, (uint16_t)list->key, 16);
  list = sort(list, by_tag);
  return crc16(crc, (uint16_t)list->key, 16);
}

// ---- matrix ----

enum { SIZE = 12 };
static int16_t a[SIZE][SIZE], b[SIZE][SIZE];
static int32_t product[SIZE][SIZE];

static __attribute__((noinline)) uint16_t matrix_work(uint32_t seed, uint16_t crc) {
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++) {
      seed = seed * 69069 + 1;
      a[row][column] = (int16_t)(seed >> 20);
      b[column][row] = (int16_t)((seed >> 8 & 0xfff) - 0x800);
    }
  int32_t trace = 0;
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++) {
      int32_t sum = 0;
      for (int k = 0; k < SIZE; k++) sum += (int32_t)a[row][k] * b[k][column];
      product[row][column] = sum;
      if (row == column) trace += sum;
    }
  for (int row = 0; row < SIZE; row++) { // bit fields out of the products, as fixed-point code does
    int32_t sum = 0;
    for (int column = 0; column < SIZE; column++)
      sum += (product[row][column] >> 2 & 15) * (product[row][column] >> 5 & 127);
    trace ^= sum;
  }
  return crc16(crc, (uint32_t)trace, 32);
}

// ---- state machine ----

enum state { START, SIGN, INTEGER, FRACTION, EXPONENT_MARK, EXPONENT_SIGN, EXPONENT, INVALID, STATES };

static int is_digit(char c) { return c >= '0' && c <= '9'; }

static enum state step(enum state state, char c) {
  switch (state) {
    case START:
      return c == '+' || c == '-' ? SIGN : is_digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID;
    case SIGN:
      return is_digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID;
    case INTEGER:
      return is_digit(c) ? INTEGER : c == '.' ? FRACTION : c == 'e' || c == 'E' ? EXPONENT_MARK : INVALID;
    case FRACTION:
      return is_digit(c) ? FRACTION : c == 'e' || c == 'E' ? EXPONENT_MARK : INVALID;
    case EXPONENT_MARK:
      return c == '+' || c == '-' ? EXPONENT_SIGN : is_digit(c) ? EXPONENT : INVALID;
    case EXPONENT_SIGN:
    case EXPONENT:
      return is_digit(c) ? EXPONENT : INVALID;
    default:
      return INVALID;
  }
}

static char text[] = "5012,+1874,-.5e3,3.1415,T0.3e-1F,-110.700,+0.64400,5.5e+3,1e,-.123e-2,8765432,9..1,+,0x1f,7e+77,";

static __attribute__((noinline)) uint16_t text_work(uint32_t seed, uint16_t crc) {
  uint32_t final[STATES] = {0}, visits[STATES] = {0};
  unsigned spoil = seed % (sizeof text - 1);
  char kept = text[spoil];
  text[spoil] ^= (char)(seed >> 8 & 3); // another text each time; put back below
  enum state state = START;
  for (const char *at = text; *at; at++) {
    if (*at == ',') {
      final[state]++;
      state = START;
    } else {
      state = step(state, *at);
      visits[state]++;
    }
  }
  text[spoil] = kept;
  for (int i = 0; i < STATES; i++) crc = crc16(crc16(crc, final[i], 8), visits[i], 8);
  return crc;
}

uint16_t coremark_work(ulong iterations) {
  uint16_t crc = 0;
  uint32_t seed = 0x3415;
  for (ulong i = 0; i < iterations; i++) {
    seed = seed * 22695477 + 1;
    crc = list_work(seed, crc);
    crc = matrix_work(seed, crc);
    crc = text_work(seed, crc);
  }
  return crc;
}

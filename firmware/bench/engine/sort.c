// Sorting, and strings: numbers by quicksort, words by comparison, a table of words found by hash.
#include "kernel.h"

KERNEL(sort, 360);

enum { NUMBERS = 8192, WORDS = 1024, LENGTH = 16, SLOTS = 4096 };
static int32_t numbers[NUMBERS];
static char words[WORDS][LENGTH];
static const char *order[WORDS], *slots[SLOTS];

static NOINLINE void sort_numbers(int32_t *low, int32_t *high) {
  while (high - low > 12) {
    int32_t pivot = low[(high - low) / 2], *i = low - 1, *j = high;
    for (;;) {
      do i++;
      while (*i < pivot);
      do j--;
      while (*j > pivot);
      if (i >= j) break;
      int32_t other = *i;
      *i = *j;
      *j = other;
    }
    sort_numbers(low, j + 1);
    low = j + 1;
  }
  for (int32_t *i = low + 1; i < high; i++) {
    int32_t value = *i, *j = i;
    for (; j > low && j[-1] > value; j--) *j = j[-1];
    *j = value;
  }
}

static NOINLINE int compare(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

typedef int comparison(const char *, const char *);

static NOINLINE void sift(const char **heap, ulong at, ulong count, comparison *order_of) {
  const char *word = heap[at];
  for (ulong child; (child = at * 2 + 1) < count; at = child) {
    if (child + 1 < count && order_of(heap[child], heap[child + 1]) < 0) child++;
    if (order_of(word, heap[child]) >= 0) break;
    heap[at] = heap[child];
  }
  heap[at] = word;
}

static NOINLINE void sort_words(const char **heap, ulong count, comparison *order_of) {
  for (ulong i = count / 2; i--;) sift(heap, i, count, order_of);
  for (ulong i = count; --i;) {
    const char *last = heap[i];
    heap[i] = heap[0];
    heap[0] = last;
    sift(heap, 0, i, order_of);
  }
}

static NOINLINE ulong find(const char *word) {
  uint32_t hash = 5381;
  for (const char *at = word; *at; at++) hash = hash * 33 + (unsigned char)*at;
  ulong at = hash % SLOTS;
  while (slots[at] && compare(slots[at], word)) at = (at + 1) % SLOTS;
  return at;
}

static uint64_t run(ulong iterations) {
  uint64_t sum = 0;
  uint32_t seed = 99;
  for (ulong n = 0; n < iterations; n++) {
    for (int i = 0; i < NUMBERS; i++) numbers[i] = (int32_t)(next_random(&seed) << 8 ^ next_random(&seed));
    sort_numbers(numbers, numbers + NUMBERS);
    for (int i = 0; i < NUMBERS; i += 97) sum = mix(sum, (uint32_t)numbers[i]);
    for (int i = 0; i < SLOTS; i++) slots[i] = 0;
    for (int i = 0; i < WORDS; i++) {
      ulong length = 3 + next_random(&seed) % 10;
      for (ulong k = 0; k < length; k++) words[i][k] = (char)('a' + next_random(&seed) % (k < 3 ? 4 : 26));
      words[i][length] = 0;
      order[i] = words[i];
      slots[find(words[i])] = words[i];
    }
    sort_words(order, WORDS, compare);
    for (int i = 0; i < WORDS; i++) sum += find(order[i]) * (ulong)i;
  }
  return sum;
}

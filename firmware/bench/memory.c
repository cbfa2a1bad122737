// What a compiler calls without being told to.
#include <stddef.h>
#include <stdint.h>

__attribute__((used)) void *memset(void *to, int byte, size_t count) {
  for (uint8_t *at = to; count--;) *at++ = (uint8_t)byte;
  return to;
}

__attribute__((used)) void *memcpy(void *to, const void *from, size_t count) {
  uint8_t *at = to;
  for (const uint8_t *source = from; count--;) *at++ = *source++;
  return to;
}

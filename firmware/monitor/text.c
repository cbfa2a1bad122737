// Output with a small printf, and the few string functions the monitor needs.
#include "text.h"

#include <stdarg.h>

#include "console.h"

bool color;

void put(char c) {
  if (c == '\n') console_put('\r');
  console_put((u8)c);
}

void ink(enum ink which) {
  if (color) print("\033[%sm", nth("0\0" "1\0" "2\0" "31\0" "32\0" "33\0" "36\0", which));
}

void print_in(enum ink which, const char *text) {
  ink(which);
  print("%s", text);
  ink(PLAIN);
}

void print_repeat(const char *text, int times) {
  while (times-- > 0) print("%s", text);
}

static int digits_of(char *end, ulong value, ulong base) {
  int count = 0;
  do {
    ulong digit = value % base;
    *--end = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
    value /= base;
    count++;
  } while (value);
  return count;
}

void print(const char *format, ...) {
  va_list list;
  va_start(list, format);
  for (; *format; format++) {
    if (*format != '%') {
      put(*format);
      continue;
    }
    bool left = false, negative = false, wide = false;
    char fill = ' ';
    int width = 0, limit = 0x7fffffff;
    format++;
    if (*format == '-') left = true, format++;
    if (*format == '0') fill = '0', format++;
    if (*format == '*') width = va_arg(list, int), format++;
    while (*format >= '0' && *format <= '9') width = width * 10 + *format++ - '0';
    if (*format == '.') {
      format++;
      limit = 0;
      if (*format == '*') limit = va_arg(list, int), format++;
      while (*format >= '0' && *format <= '9') limit = limit * 10 + *format++ - '0';
    }
    if (*format == 'l') wide = true, format++;

    char buffer[24];
    const char *text = buffer;
    int count = 1;
    if (*format == 's') {
      text = va_arg(list, const char *);
      for (count = 0; count < limit && text[count];) count++;
    } else if (*format == 'c') {
      buffer[0] = (char)va_arg(list, int);
    } else if (*format == 'd' || *format == 'u' || *format == 'x') {
      bool is_signed = *format == 'd';
      ulong value = wide ? va_arg(list, ulong) : is_signed ? (ulong)va_arg(list, int) : va_arg(list, unsigned);
      negative = is_signed && (long)value < 0;
      count = digits_of(buffer + sizeof buffer, negative ? -value : value, *format == 'x' ? 16 : 10);
      text = buffer + sizeof buffer - count;
    } else {
      buffer[0] = *format;
    }
    int gap = width - count - negative;
    if (negative && fill == '0') put('-');
    if (!left) while (gap-- > 0) put(fill);
    if (negative && fill != '0') put('-');
    while (count-- > 0) put(*text++);
    if (left) while (gap-- > 0) put(' ');
  }
  va_end(list);
}

void print_size(u64 bytes, int width) {
  const char *units = "B\0KiB\0MiB\0GiB\0TiB\0";
  int unit = 0;
  while (unit < 4 && bytes && !(bytes & 1023)) bytes >>= 10, unit++;
  const char *name = nth(units, (ulong)unit);
  print("%*lu %s", width - 1 - (int)length(name), bytes, name);
}

void print_decimal(u64 value, u64 unit, int digits) {
  print("%lu.", value / unit);
  while (digits-- > 0) {
    value = value % unit * 10;
    put((char)('0' + value / unit));
  }
}

void hex_dump(ulong label, const u8 *bytes, ulong count) {
  bool folded = false;
  for (ulong at = 0; at < count; at += 16) {
    ulong line = count - at < 16 ? count - at : 16;
    bool repeats = at && line == 16;
    for (ulong i = 0; i < 16 && repeats; i++) repeats = bytes[at + i] == bytes[at + i - 16];
    if (repeats && at + 16 < count) {
      if (!folded) print_in(DIM, "  *"), put('\n');
      folded = true;
      continue;
    }
    folded = false;
    ink(DIM);
    print("  %08lx ", label + at);
    ink(PLAIN);
    for (ulong i = 0; i < 16; i++) {
      if (i == 8) put(' ');
      if (i < line) print(" %02x", bytes[at + i]);
      else print("   ");
    }
    print("  ");
    ink(DIM);
    for (ulong i = 0; i < line; i++) put(bytes[at + i] >= 32 && bytes[at + i] < 127 ? (char)bytes[at + i] : '.');
    ink(PLAIN);
    put('\n');
  }
}

const char *nth(const char *list, ulong index) {
  while (index-- && *list) list += length(list) + 1;
  return list;
}

bool same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

bool has_word(const char *text, const char *word) {
  ulong size = length(word);
  while (*text) {
    ulong i = 0;
    while (i < size && text[i] == word[i]) i++;
    if (i == size && (text[i] == ' ' || !text[i])) return true;
    while (*text && *text != ' ') text++;
    while (*text == ' ') text++;
  }
  return false;
}

ulong length(const char *text) {
  ulong count = 0;
  while (text[count]) count++;
  return count;
}

const char *next_number(const char *text, bool hex, u64 *value) {
  if (text[0] == '0' && (text[1] | 32) == 'x') text += 2, hex = true;
  unsigned base = hex ? 16 : 10;
  u64 sum = 0;
  const char *start = text;
  for (;; text++) {
    unsigned digit = (u8)*text - '0';
    if (digit > 9) {
      digit = (*text | 32) - 'a' + 10u;
      if (digit < 10) break;
    }
    if (digit >= base) break;
    if (sum > (~0ul - digit) / base) return 0;
    sum = sum * base + digit;
  }
  *value = sum;
  return text == start ? 0 : text;
}

bool number(const char *text, bool hex, u64 *value) {
  const char *end = next_number(text, hex, value);
  if (!end) return false;
  if (*end && !hex) {
    int shift = (*end | 32) == 'k' ? 10 : (*end | 32) == 'm' ? 20 : (*end | 32) == 'g' ? 30 : 0;
    if (shift && *value <= ~0ul >> shift) *value <<= shift, end++;
  }
  return !*end;
}

// The compiler may call these for struct copies and initializers.
__attribute__((used)) void *memset(void *to, int byte, ulong count) {
  for (u8 *at = to; count--;) *at++ = (u8)byte;
  return to;
}

__attribute__((used)) void *memcpy(void *to, const void *from, ulong count) {
  u8 *at = to;
  for (const u8 *source = from; count--;) *at++ = *source++;
  return to;
}

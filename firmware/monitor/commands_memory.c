// md, mw, memtest.
#include "board.h"
#include "commands.h"
#include "console.h"
#include "text.h"

// The suffix of md.b, md.h, md.w, md.d as a number of bytes; 4 without one, 0 if it is none of these.
static ulong width_of(const char *name) {
  if (!name[2]) return 4;
  if (name[2] != '.' || !name[3] || name[4]) return 0;
  return name[3] == 'b' ? 1 : name[3] == 'h' ? 2 : name[3] == 'w' ? 4 : name[3] == 'd' ? 8 : 0;
}

static u64 load(ulong at, ulong width) {
  return width == 1 ? read8(at) : width == 2 ? read16(at) : width == 4 ? read32(at) : read64(at);
}

static bool address_and_width(char **arguments, u64 *address, ulong *width) {
  *width = width_of(arguments[0]);
  if (!*width) print("  the widths are .b .h .w .d: 8, 16, 32 and 64 bits\n");
  else if (!number(arguments[1], true, address)) print("  usage: %s ADDRESS (hexadecimal) ...\n", arguments[0]);
  else if (*address & (*width - 1)) print("  0x%lx is not aligned to %lu bytes\n", *address, *width);
  else return true;
  return false;
}

void command_md(char **arguments) {
  u64 at, count;
  ulong width;
  if (!address_and_width(arguments, &at, &width)) return;
  if (!*arguments[2]) count = 64 / width;
  else if (!number(arguments[2], false, &count)) {
    print("  how many? %s is not a number\n", arguments[2]);
    return;
  }
  while (count && !console_interrupted()) {
    u64 words[16];
    ulong line = count < 16 / width ? count : 16 / width;
    for (ulong i = 0; i < line; i++) words[i] = load(at + i * width, width); // each register is read once
    ink(DIM);
    print("  %08lx ", at);
    ink(PLAIN);
    for (ulong i = 0; i < 16 / width; i++) {
      if (i < line) print(" %0*lx", (int)width * 2, words[i]);
      else print(" %*s", (int)width * 2, "");
    }
    print("  ");
    ink(DIM);
    for (ulong i = 0; i < line * width; i++) {
      u8 byte = (u8)(words[i / width] >> i % width * 8);
      put(byte >= 32 && byte < 127 ? (char)byte : '.');
    }
    ink(PLAIN);
    put('\n');
    at += line * width;
    count -= line;
  }
}

void command_mw(char **arguments) {
  u64 at, value;
  ulong width;
  if (!address_and_width(arguments, &at, &width)) return;
  if (!number(arguments[2], true, &value)) print("  usage: %s ADDRESS VALUE (both hexadecimal)\n", arguments[0]);
  else if (width < 8 && value >> width * 8) print("  0x%lx does not fit into %lu bytes\n", value, width);
  else if (width == 1) write8(at, (u8)value);
  else if (width == 2) write16(at, (u16)value);
  else if (width == 4) write32(at, (u32)value);
  else write64(at, value);
}

enum pass { WALKING_ONES, OWN_ADDRESS, INVERSE, PASSES };

static u64 pattern(enum pass pass, ulong at) {
  return pass == WALKING_ONES ? 1ul << (at / 8 & 63) : pass == OWN_ADDRESS ? at : ~at;
}

// Half the marks appear while the pattern is written, half while it is read back.
static bool memory_pass(enum pass pass, struct span span) {
  enum { MARKS = 16 };
  ulong chunk = (span.end - span.start) / MARKS;
  print("  %-20s", nth("walking ones\0address in address\0inverse\0", pass));
  ink(CYAN);
  for (int step = 0; step < 2 * MARKS; step++) {
    ulong at = span.start + chunk * (ulong)(step % MARKS), end = at + chunk;
    for (; at < end; at += 8) {
      if (step < MARKS) {
        write64(at, pattern(pass, at));
        continue;
      }
      u64 found = read64(at);
      if (found == pattern(pass, at)) continue;
      print_in(RED, " failed");
      print("\n  at 0x%08lx: wrote %016lx, read %016lx\n", at, pattern(pass, at), found);
      return false;
    }
    if (step & 1) print("■");
    if (console_interrupted()) {
      print_in(YELLOW, " stopped");
      put('\n');
      return false;
    }
  }
  print_in(GREEN, " ok");
  put('\n');
  return true;
}

void command_memtest(char **arguments) {
  struct span span = board_free_memory();
  u64 mebibytes = 16, room = (span.end - span.start) >> 20;
  if (*arguments[1] && (!number(arguments[1], false, &mebibytes) || !mebibytes)) {
    print("  usage: memtest [MiB]\n");
    return;
  }
  if (mebibytes > room) mebibytes = room;
  if (!mebibytes) {
    print("  no whole mebibyte of memory is free\n");
    return;
  }
  span.end = span.start + (mebibytes << 20);
  print("  %lu MiB from 0x%08lx, outside this program and the device tree\n", mebibytes, span.start);
  for (enum pass pass = 0; pass < PASSES; pass++)
    if (!memory_pass(pass, span)) return;
}

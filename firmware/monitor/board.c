// The banner, the table of devices, and free memory: all read from the FDT.
#include "board.h"

#include "console.h"
#include "fdt.h"
#include "interrupts.h"
#include "text.h"
#include "virtio.h"

extern char __image_start[], __image_end[];

static bool is_memory(int node) {
  const char *type = fdt_string(node, "device_type");
  return type && same(type, "memory") && fdt_enabled(node);
}

static bool is_cpu(int node) {
  const char *type = fdt_string(node, "device_type");
  return type && same(type, "cpu") && fdt_enabled(node);
}

const char *board_bootargs(void) {
  int chosen = fdt_by_path("/chosen");
  const char *text = chosen == NO_NODE ? 0 : fdt_string(chosen, "bootargs");
  return text ? text : "";
}

// ---- banner: a chip with its facts beside it ----

enum { CHIP_LINES = 10, FACT_COLUMN = 26, FACT_WIDTH = 40 };
static int chip_line, chip_column;

static void chip(void) {
  static const char drawing[] =
      "     ┬  ┬  ┬  ┬  ┬\0"
      "   ┌─┴──┴──┴──┴──┴─┐\0"
      "  ─┤ ●             ├─\0"
      "  ─┤               ├─\0"
      "  ─┤     vmrun     ├─\0"
      "  ─┤    RISC-V     ├─\0"
      "  ─┤               ├─\0"
      "  ─┤               ├─\0"
      "   └─┬──┬──┬──┬──┬─┘\0"
      "     ┴  ┴  ┴  ┴  ┴\0";
  const char *line = nth(drawing, (ulong)chip_line);
  chip_line += *line != 0;
  print_in(CYAN, line);
  chip_column = 0;
  for (; *line; line++) chip_column += (*line & 0xc0) != 0x80; // a UTF-8 sequence is one column
}

static void fact(const char *name) {
  chip();
  print("%*s", FACT_COLUMN - chip_column, "");
  ink(DIM);
  print("%-10s", name);
  ink(PLAIN);
}

// A long ISA string goes on in the next line at an underscore.
static void isa_fact(const char *isa) {
  const char *label = "isa";
  while (*isa) {
    int take = (int)length(isa), cut = FACT_WIDTH;
    if (take > cut) {
      while (cut && isa[cut] != '_') cut--;
      if (cut) take = cut;
    }
    fact(label);
    print("%.*s\n", take, isa);
    isa += take;
    label = "";
  }
}

void board_banner(ulong hart) {
  u32 harts = 0;
  bool memory = false;
  const char *model = fdt_string(0, "model"), *compatible = fdt_string(0, "compatible");
  int cpu = cpu_of(hart);
  const char *isa = cpu == NO_NODE ? 0 : fdt_string(cpu, "riscv,isa");
  if (!isa && cpu != NO_NODE) isa = fdt_string(cpu, "riscv,isa-base");
  for (int node = 0; node < fdt_count(); node++) harts += is_cpu(node);

  chip_line = 0;
  put('\n');
  chip();
  put('\n');
  chip();
  print("%*s", FACT_COLUMN - chip_column, "");
  print_in(BOLD, model ? model : compatible ? compatible : "an unnamed board");
  put('\n');
  if (isa) isa_fact(isa);
  fact("harts");
  print("%u, the monitor runs on hart %lu\n", harts, hart);
  for (int node = 0; node < fdt_count(); node++) {
    u64 address, size;
    if (!is_memory(node)) continue;
    for (int i = 0; fdt_reg(node, i, &address, &size); i++, memory = true) {
      fact(memory ? "" : "memory");
      print_size(size, 0);
      print(" at 0x%08lx\n", address);
    }
  }
  fact("timebase");
  u32 hertz = interrupts.timebase;
  bool mega = hertz % 1000000 == 0;
  print("%u %s\n", mega ? hertz / 1000000 : hertz, mega ? "MHz" : "Hz");
  fact("console");
  u64 address = 0, size;
  fdt_reg(console_node(), 0, &address, &size);
  print("%s at 0x%08lx\n", fdt_string(console_node(), "compatible") ?: "", address);
  if (*board_bootargs()) {
    fact("bootargs");
    print("%.*s\n", FACT_WIDTH, board_bootargs());
  }
  while (chip_line < CHIP_LINES) {
    chip();
    put('\n');
  }
  if (!fdt_complete()) print_in(YELLOW, "\n  The device tree is damaged or very large: only its beginning is known.\n");
}

// ---- table ----

static void append(char **to, const char *end, ulong value) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while (value /= 10);
  while (count && *to < end) *(*to)++ = digits[--count];
}

// "10", "42-45" or "3+" if more follow that do not count up; `text` has room for 16 characters.
static void irq_of(int node, char *text) {
  u32 size, step = 1;
  const char *end = text + 14;
  const u8 *list = fdt_get(node, "interrupts", &size);
  *text = 0;
  if (size >= 4) {
    u32 first = fdt_cell(list), count = 0;
    while (size >= 4 && fdt_cell(list) == first + count) count++, size -= 4, list += 4;
    append(&text, end, first);
    if (count > 1) *text++ = '-', append(&text, end, first + count - 1);
    if (size >= 4) *text++ = '+';
  } else {
    list = fdt_get(node, "interrupts-extended", &size);
    int parent = size >= 8 ? fdt_by_phandle(fdt_cell(list)) : NO_NODE;
    if (parent == NO_NODE || fdt_is(parent, "riscv,cpu-intc")) return; // a controller: its lines lead to harts
    append(&text, end, fdt_cell(list + 4));
    step += fdt_u32(parent, "#interrupt-cells", 1);
    if (size > 4 * step) *text++ = '+';
  }
  *text = 0;
}

static bool is_listed(int node, u64 *address, u64 *size) {
  u32 bytes;
  return fdt_enabled(node) && (is_memory(node) || fdt_get(node, "compatible", &bytes)) && fdt_reg(node, 0, address, size);
}

// False if there is nothing to tell: a virtio slot with no device in it.
static bool row(int node, u64 address, u64 size) {
  char irq[16];
  u32 version = 0, id = 0;
  bool virtio = fdt_is(node, "virtio,mmio");
  if (virtio && !(id = virtio_identify(address, &version))) return false;
  const char *name = fdt_name(node), *compatible = fdt_string(node, "compatible");
  int size_of_name = 0;
  while (name[size_of_name] && name[size_of_name] != '@' && size_of_name < 21) size_of_name++;
  print("  %-22.*s", size_of_name, name);
  if (virtio) print("virtio,mmio: %-14s", virtio_name(id));
  else print("%-27.26s", compatible ? compatible : "");
  print("0x%08lx%*s", address, address >> 32 ? 0 : 2, "");
  print_size(size, 8);
  irq_of(node, irq);
  if (*irq) print("%6s", irq);
  if (node == console_node()) print_in(CYAN, "  <");
  if (version == 1) print_in(YELLOW, "  legacy");
  put('\n');
  return true;
}

void board_devices(void) {
  u64 done = 0, address, size, lowest;
  int empty = 0;
  ink(DIM);
  print("  %-22s%-27s%-14s%6s%6s\n  ", "node", "compatible", "address", "size", "irq");
  print_repeat("─", 75);
  ink(PLAIN);
  put('\n');
  for (;; done = lowest + 1) { // by address: each round prints what lies at the lowest one not yet done
    lowest = ~0ul;
    for (int node = 0; node < fdt_count(); node++)
      if (is_listed(node, &address, &size) && address >= done && address < lowest) lowest = address;
    if (lowest == ~0ul) break;
    for (int node = 0; node < fdt_count(); node++)
      if (is_listed(node, &address, &size) && address == lowest) empty += !row(node, address, size);
  }
  ink(DIM);
  print("  < this console");
  if (empty) print("; %d virtio slot%s with no device", empty, empty > 1 ? "s" : "");
  ink(PLAIN);
  put('\n');
}

// ---- free memory ----

enum { MAX_HOLES = 32 };

static int collect_holes(struct span *holes) {
  int count = 2, reserved = fdt_by_path("/reserved-memory");
  holes[0] = (struct span){(u64)__image_start, (u64)__image_end};
  fdt_extent(&holes[1].start, &holes[1].end);
  for (int node = 0; node < fdt_count() && reserved != NO_NODE; node++) {
    u64 address, size;
    for (int i = 0; fdt_parent(node) == reserved && count < MAX_HOLES && fdt_reg(node, i, &address, &size); i++)
      holes[count++] = (struct span){address, address + size};
  }
  return count;
}

struct span board_free_memory(void) {
  struct span holes[MAX_HOLES], best = {0, 0};
  int count = collect_holes(holes);
  for (int node = 0; node < fdt_count(); node++) {
    u64 address, size;
    for (int i = 0; is_memory(node) && fdt_reg(node, i, &address, &size); i++) {
      for (int from = -1; from < count; from++) { // free pieces start where the region does or a hole ends
        struct span piece = {from < 0 ? address : holes[from].end, address + size};
        piece.start = (piece.start + 4095) & ~4095ul;
        bool inside = piece.start < address;
        for (int h = 0; h < count; h++) {
          if (piece.start >= holes[h].start && piece.start < holes[h].end) inside = true;
          else if (holes[h].start >= piece.start && holes[h].start < piece.end) piece.end = holes[h].start;
        }
        piece.end &= ~4095ul;
        if (!inside && piece.end > piece.start && piece.end - piece.start > best.end - best.start) best = piece;
      }
    }
  }
  return best;
}

// CLINT, ACLINT and PLIC.
#include "interrupts.h"

#include "fdt.h"
#include "text.h"

enum { IRQ_M_SOFT = 3, IRQ_M_TIMER = 7, IRQ_M_EXTERNAL = 11 };

struct interrupts interrupts;

static int find_either(const char *list) {
  int node = NO_NODE;
  for (; *list && node == NO_NODE; list += length(list) + 1) node = fdt_find(list, NO_NODE);
  return node;
}

ulong hart_of(int cpu) {
  u32 size;
  if (cpu == NO_NODE) return ~0ul;
  const u8 *reg = fdt_get(cpu, "reg", &size);
  return size >= 4 ? fdt_cell(reg + (size & ~3u) - 4) : ~0ul;
}

int cpu_of(ulong hart) {
  for (int node = 0; node < fdt_count(); node++) {
    const char *type = fdt_string(node, "device_type");
    if (type && same(type, "cpu") && hart_of(node) == hart) return node;
  }
  return NO_NODE;
}

// Which entry of interrupts-extended leads to this interrupt of this hart; with `among_its_kind` only entries of that
// interrupt are counted: a CLINT lists software and timer interrupts in one list. -1 if there is none.
static int entry_of(int node, ulong hart, u32 interrupt, bool among_its_kind) {
  u32 size;
  const u8 *list = fdt_get(node, "interrupts-extended", &size);
  int count = 0;
  for (; size >= 8; size -= 8, list += 8) {
    int controller = fdt_by_phandle(fdt_cell(list));
    u32 number = fdt_cell(list + 4);
    if (controller != NO_NODE && number == interrupt && hart_of(fdt_parent(controller)) == hart) return count;
    if (!among_its_kind || number == interrupt) count++;
  }
  return -1;
}

u64 msip_of(ulong hart) {
  u64 base, size;
  int node = find_either("riscv,clint0\0sifive,clint0\0riscv,aclint-mswi\0thead,c900-aclint-mswi\0");
  if (node == NO_NODE || !fdt_reg(node, 0, &base, &size)) return 0;
  int entry = entry_of(node, hart, IRQ_M_SOFT, true);
  return entry < 0 ? 0 : base + 4 * (u64)entry;
}

void interrupts_open(ulong hart) {
  u64 base, size, second;
  int entry, node = fdt_by_path("/cpus");
  if (node != NO_NODE) interrupts.timebase = fdt_u32(node, "timebase-frequency", 0);
  if (!interrupts.timebase && (node = cpu_of(hart)) != NO_NODE)
    interrupts.timebase = fdt_u32(node, "timebase-frequency", 0);
  if (!interrupts.timebase) interrupts.timebase = 10000000;

  node = find_either("riscv,clint0\0sifive,clint0\0");
  if (node != NO_NODE && fdt_reg(node, 0, &base, &size) && (entry = entry_of(node, hart, IRQ_M_TIMER, true)) >= 0) {
    interrupts.mtime = base + 0xbff8;
    interrupts.mtimecmp = base + 0x4000 + 8 * (u64)entry;
  }
  node = find_either("riscv,aclint-mtimer\0thead,c900-aclint-mtimer\0"); // reg: mtime, then mtimecmp
  if (node != NO_NODE && fdt_reg(node, 0, &base, &size) && fdt_reg(node, 1, &second, &size) &&
      (entry = entry_of(node, hart, IRQ_M_TIMER, true)) >= 0) {
    interrupts.mtime = base;
    interrupts.mtimecmp = second + 8 * (u64)entry;
  }

  node = find_either("sifive,plic-1.0.0\0riscv,plic0\0thead,c900-plic\0");
  interrupts.plic_node = NO_NODE;
  if (node != NO_NODE && fdt_reg(node, 0, &base, &size) && (entry = entry_of(node, hart, IRQ_M_EXTERNAL, false)) >= 0) {
    interrupts.plic = base;
    interrupts.plic_node = node;
    interrupts.plic_context = (u32)entry;
    write32(base + 0x200000 + 0x1000ul * interrupts.plic_context, 0); // threshold: everything passes
  }
}

bool has_time(void) {
  ulong unused;
  return interrupts.mtime || try_csr_read("time", &unused);
}

u64 time_now(void) {
  ulong value;
  if (interrupts.mtime) return read64(interrupts.mtime);
  return try_csr_read("time", &value) ? value : csr_read("mcycle"); // so that every wait comes to its end
}

void timer_set(u64 when) {
  if (interrupts.mtimecmp) write64(interrupts.mtimecmp, when);
}

bool time_passed(u64 since, u64 ticks) { return time_now() - since >= ticks; }

u32 plic_source_of(int node) {
  u32 size, source;
  const u8 *list = fdt_get(node, "interrupts", &size);
  if (!interrupts.plic) return 0;
  if (size >= 4) {
    source = fdt_cell(list);
    u32 parent = 0;
    for (; node != NO_NODE && !parent; node = fdt_parent(node)) parent = fdt_u32(node, "interrupt-parent", 0);
    if (fdt_by_phandle(parent) != interrupts.plic_node) return 0;
  } else {
    list = fdt_get(node, "interrupts-extended", &size);
    if (size < 8 || fdt_by_phandle(fdt_cell(list)) != interrupts.plic_node) return 0;
    source = fdt_cell(list + 4);
  }
  return source < 1024 ? source : 0;
}

void plic_enable(u32 source) {
  u64 enable = interrupts.plic + 0x2000 + 0x80ul * interrupts.plic_context + source / 32 * 4;
  write32(interrupts.plic + 4ul * source, 1); // priority
  write32(enable, read32(enable) | 1u << source % 32);
}

static u64 claim_register(void) { return interrupts.plic + 0x200004 + 0x1000ul * interrupts.plic_context; }
u32 plic_claim(void) { return read32(claim_register()); }
void plic_complete(u32 source) { write32(claim_register(), source); }

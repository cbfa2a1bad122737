// reboot, poweroff: whatever the board has for it, as its device tree says.
#include "commands.h"
#include "fdt.h"
#include "interrupts.h"
#include "text.h"

enum { TEST_FAIL = 0x3333, TEST_PASS = 0x5555, TEST_RESET = 0x7777 }; // sifive,test0 and its successor

static u64 base_of(int node) {
  u64 base, size;
  return node != NO_NODE && fdt_reg(node, 0, &base, &size) ? base : 0;
}

// syscon-poweroff, syscon-reboot: a value for a register of the node that regmap points to.
static void try_syscon(const char *compatible) {
  int node = fdt_find(compatible, NO_NODE);
  if (node == NO_NODE) return;
  u64 base = base_of(fdt_by_phandle(fdt_u32(node, "regmap", 0)));
  if (!base) base = base_of(fdt_parent(node));
  if (!base) return;
  base += fdt_u32(node, "offset", 0);
  u32 size, mask = fdt_u32(node, "mask", ~0u), value = fdt_u32(node, "value", mask);
  if (!fdt_get(node, "value", &size)) mask = ~0u; // the older binding: a mask alone is the value
  if (mask != ~0u) value = (read32(base) & ~mask) | (value & mask);
  write32(base, value);
}

static void try_test(const char *compatible, u32 value) {
  u64 base = base_of(fdt_find(compatible, NO_NODE));
  if (base) write32(base, value);
}

// gpio-restart on sifive,gpio0, as on the HiFive Unleashed: drive the pin to its active level.
static void try_gpio_restart(void) {
  enum { OUTPUT_EN = 0x08, OUTPUT_VAL = 0x0c };
  u32 size;
  int node = fdt_find("gpio-restart", NO_NODE);
  const u8 *gpios = node == NO_NODE ? 0 : fdt_get(node, "gpios", &size);
  if (!gpios || size < 12) return;
  int controller = fdt_by_phandle(fdt_cell(gpios));
  u64 base = controller != NO_NODE && fdt_is(controller, "sifive,gpio0") ? base_of(controller) : 0;
  if (!base) return;
  u32 pin = 1u << (fdt_cell(gpios + 4) & 31), levels = read32(base + OUTPUT_VAL);
  bool active_low = fdt_cell(gpios + 8) & 1;
  write32(base + OUTPUT_VAL, active_low ? levels | pin : levels & ~pin);
  write32(base + OUTPUT_EN, read32(base + OUTPUT_EN) | pin);
  write32(base + OUTPUT_VAL, active_low ? levels & ~pin : levels | pin);
}

// The machine may need a moment to obey.
static void give_it_time(void) {
  u64 start = time_now();
  for (int turn = 0; turn < 10000000 && !time_passed(start, interrupts.timebase / 10); turn++) {}
}

void command_reboot(char **arguments) {
  (void)arguments;
  try_syscon("syscon-reboot");
  try_test("sifive,test1", TEST_RESET);
  try_gpio_restart();
  give_it_time();
  print("  this board cannot reboot: no syscon-reboot, sifive,test1 or gpio-restart in its device tree works\n");
}

void command_poweroff(char **arguments) {
  u64 code = 0;
  if (*arguments[1] && (!number(arguments[1], false, &code) || code > 0xffff)) {
    print("  usage: poweroff [code 0..65535]\n");
    return;
  }
  if (code) {
    try_test("sifive,test0", (u32)code << 16 | TEST_FAIL);
    give_it_time();
    print("  this board cannot report a code: it has no sifive,test0\n");
    return;
  }
  try_syscon("syscon-poweroff");
  try_test("sifive,test0", TEST_PASS);
  give_it_time();
  print("  this board cannot power off: no syscon-poweroff or sifive,test0 in its device tree works\n");
}

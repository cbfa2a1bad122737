// board, fdt: what the device tree says.
#include "board.h"
#include "commands.h"
#include "console.h"
#include "fdt.h"
#include "text.h"

void command_board(char **arguments) {
  (void)arguments;
  board_devices();
}

static void indent(int depth) { print("%*s", 2 + 4 * depth, ""); }

// A property is text if it is a list of printable, non-empty, terminated strings; this is how dtc tells as well.
static bool is_text(const u8 *data, u32 size) {
  if (!size || data[size - 1]) return false;
  for (u32 i = 0; i < size; i++) {
    if (data[i] ? data[i] < 32 || data[i] > 126 : !i || !data[i - 1]) return false;
  }
  return true;
}

static void print_property(const struct fdt_property *property) {
  const u8 *data = property->data;
  u32 size = property->length;
  print("%s", property->name);
  if (is_text(data, size)) {
    for (u32 at = 0; at < size; at += (u32)length((const char *)data + at) + 1) {
      print("%s\"", at ? ", " : " = ");
      ink(GREEN);
      print("%s", (const char *)data + at);
      ink(PLAIN);
      put('"');
    }
  } else if (size) {
    u32 step = size % 4 ? 1 : 4;
    print(" = %c", step == 4 ? '<' : '[');
    for (u32 at = 0; at < size; at += step) {
      if (at) put(' ');
      if (step == 4) print("0x%x", fdt_cell(data + at));
      else print("%02x", data[at]);
    }
    put(step == 4 ? '>' : ']');
  }
  print(";\n");
}

static bool print_node(int node, int depth) { // false: Ctrl-C
  const char *name = fdt_name(node);
  indent(depth);
  print_in(BOLD, *name ? name : "/");
  print(" {\n");
  struct fdt_property property = {.next = 0};
  while (fdt_next_property(node, &property)) {
    indent(depth + 1);
    print_property(&property);
  }
  for (int child = node + 1; child < fdt_count(); child++)
    if (fdt_parent(child) == node && (console_interrupted() || !print_node(child, depth + 1))) return false;
  indent(depth);
  print("};\n");
  return true;
}

void command_fdt(char **arguments) {
  int node = fdt_by_path(*arguments[1] ? arguments[1] : "/");
  if (node == NO_NODE) print("  there is no node %s; board lists devices, fdt alone prints the whole tree\n", arguments[1]);
  else print_node(node, 0);
}

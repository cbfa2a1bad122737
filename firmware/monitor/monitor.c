// The monitor's beginning, its prompt with line editing, and which command is which.
#include "board.h"
#include "commands.h"
#include "console.h"
#include "fdt.h"
#include "interrupts.h"
#include "text.h"

enum { LINE_SIZE = 120 };
static char line[LINE_SIZE], last_line[LINE_SIZE];

// name, arguments, what it does, function: one row per command; a group has a heading in help.
#define COMMANDS(row, group)                                                              \
  group("look around")                                                                    \
  row("help", "", "this list", show_help)                                                 \
  row("board", "", "the devices of this board", command_board)                            \
  row("fdt", "[PATH]", "the device tree, or one node of it", command_fdt)                 \
  row("harts", "", "wake every hart and let it report", command_harts)                    \
  row("regs", "", "control and status registers", command_regs)                           \
  row("time", "", "clock and counters", command_time)                                     \
  group("memory (ADDR and VALUE in hexadecimal; .b .h .w .d: 8 16 32 64 bits)")           \
  row("md", "ADDR [N]", "read N words, or registers", command_md)                         \
  row("mw", "ADDR VALUE", "write one", command_mw)                                        \
  row("memtest", "[MiB]", "test free memory", command_memtest)                            \
  group("devices")                                                                        \
  row("rtc", "", "date and time", command_rtc)                                            \
  row("rng", "[N]", "random bytes from virtio entropy", command_rng)                      \
  row("blk", "[SECTOR]", "a sector of a virtio disk", command_blk)                        \
  group("try out")                                                                        \
  row("irq", "", "timer, software and external interrupts", command_irq)                  \
  row("trap", "", "take an illegal instruction and survive it", command_trap)             \
  row("sleep", "SECONDS", "sleep in WFI", command_sleep)                                  \
  row("bench", "", "instructions per guest second", command_bench)                        \
  group("leave")                                                                          \
  row("reboot", "", "start again", command_reboot)                                        \
  row("poweroff", "[CODE]", "end, with an exit code", command_poweroff)

#define HELP_ROW(name, arguments, text, function) name "\0" arguments "\0" text "\0"
#define HELP_GROUP(text) " \0" text "\0\0"
static const char help[] = COMMANDS(HELP_ROW, HELP_GROUP);

static void show_help(char **unused) {
  (void)unused;
  for (const char *at = help; *at;) {
    const char *name = at, *arguments = name + length(name) + 1, *text = arguments + length(arguments) + 1;
    at = text + length(text) + 1;
    if (*name == ' ') {
      print("  ");
      print_in(DIM, arguments);
      put('\n');
      continue;
    }
    print("    %s %-*s%s\n", name, 20 - (int)length(name), arguments, text);
  }
  print_in(DIM, "  keys");
  print("\n    Up: the last line   Tab: complete   Ctrl-U: clear   Ctrl-C: stop\n");
}

// A command's name, alone or with a width behind a point for md and mw.
static bool names(const char *word, const char *command) {
  if (same(word, command)) return true;
  return command[0] == 'm' && !command[2] && word[0] == 'm' && word[1] == command[1] && word[2] == '.';
}

static void run(char *text) {
  char *arguments[MAX_ARGUMENTS];
  int count = 0;
  while (count < MAX_ARGUMENTS) {
    while (*text == ' ') *text++ = 0;
    arguments[count++] = text; // the empty rest of the line once the words are used up
    while (*text && *text != ' ') text++;
  }
  *text = 0;
  char *name = arguments[0];
  if (!*name) return;
#define RUN_ROW(word, parameters, what, function) \
  if (names(name, word)) {                        \
    function(arguments);                          \
    return;                                       \
  }
#define RUN_GROUP(text)
  COMMANDS(RUN_ROW, RUN_GROUP)
  print("  unknown command: %s; try help\n", name);
}

static void erase(ulong count) {
  while (count--) print("\b \b");
}

// The rest of the only command that begins like the line; as much as they share if there are several.
static ulong complete(ulong size) {
  char rest[16];
  int found = 0;
  ulong shared = 0;
  for (const char *at = help; *at;) {
    const char *name = at;
    for (int field = 0; field < 3; field++) at += length(at) + 1;
    ulong i = 0;
    while (i < size && name[i] == line[i]) i++;
    if (i < size || *name == ' ') continue;
    ulong more = 0;
    for (; name[i] && more < sizeof rest; i++, more++) {
      if (!found) rest[more] = name[i];
      else if (more >= shared || rest[more] != name[i]) break;
    }
    shared = more;
    found++;
  }
  if (!found) return size;
  for (ulong i = 0; i < shared && size < LINE_SIZE - 2; i++) put(line[size++] = rest[i]);
  if (found == 1) put(line[size++] = ' ');
  return size;
}

// Reads a line into `line`. Returns false if Ctrl-C gave it up.
static bool read_line(void) {
  static u8 before; // a line feed after a carriage return is part of it
  ulong size = 0;
  int escape = 0;
  for (;;) {
    u8 key = console_wait(), previous = before;
    before = key;
    if (escape) { // ESC [ A or ESC O A: up; every other sequence is swallowed up to its final letter
      if (escape == 1 && (key == '[' || key == 'O')) {
        escape = 2;
        continue;
      }
      bool final = key >= '@' && key <= '~';
      if (escape == 2 && key == 'A') {
        erase(size);
        for (size = 0; last_line[size]; size++) put(line[size] = last_line[size]);
      }
      if (final || escape == 1) escape = 0;
      continue;
    }
    if (key == '\n' && previous == '\r') continue;
    if (key == '\r' || key == '\n') break;
    if (key == 27) {
      escape = 1;
    } else if (key == 3) {
      print("^C\n");
      return false;
    } else if (key == 8 || key == 127) {
      if (size) erase(1), size--;
    } else if (key == 21) { // Ctrl-U
      erase(size);
      size = 0;
    } else if (key == 23) { // Ctrl-W
      bool word = false;
      while (size && (!word || line[size - 1] != ' ')) word |= line[--size] != ' ', erase(1);
    } else if (key == '\t') {
      size = complete(size);
    } else if (key >= 32 && key < 127 && size < LINE_SIZE - 1) {
      put(line[size++] = (char)key);
    }
  }
  line[size] = 0;
  put('\n');
  return true;
}

void monitor_prompt(void) { // runs one line; a trap in it comes back to the caller in start.S
  csr_write("mie", 0);
  guard = 0;
  ink(CYAN);
  print("monitor");
  ink(PLAIN);
  print("> ");
  if (!read_line()) return;
  if (*line) __builtin_memcpy(last_line, line, LINE_SIZE);
  run(line);
}

void monitor_start(ulong hart, ulong fdt) {
  // Without a device tree or a console nobody can be told anything.
  while (!fdt_open(fdt) || !console_open()) wait_for_interrupt();
  interrupts_open(hart);
  console_listen();
  color = !has_word(board_bootargs(), "nocolor");
  board_banner(hart);
  put('\n');
  board_devices();
  print("\n  Type ");
  print_in(BOLD, "help");
  print(" for what can be done here.\n\n");
}

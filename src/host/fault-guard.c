/*
 * Keeps a process alive whose mapped memory the host takes away: a file cut short, a full disk, an exhausted pool of huge
 * pages. The kernel says so by SIGBUS, at any load or store. For addresses under guard the handler puts a page of zeroes
 * there, notes it, and lets the access go on; any other SIGBUS goes to whoever had the signal before.
 *
 * Compiled at run time without headers: the declarations are those of Linux on 64-bit machines, glibc and musl alike. It is
 * not linked with the C library, which takes a file that only developers have, but told where its calls are.
 */
typedef unsigned long word;

#define SIGBUS 7
#define BUS_ADRERR 2
#define SA_SIGINFO 4
#define SA_ONSTACK 0x08000000
#define READ_WRITE 3
#define PRIVATE_FIXED_ANONYMOUS 0x32
#define FAILED ((void *)-1)

struct action {
  void *handler;
  word mask[16];
  int flags;
  void *restorer;
};

static int (*sigaction)(int signal, const struct action *now, struct action *before);
static void *(*mmap)(void *address, word length, int protection, int flags, int fd, long offset);

#define SLOTS 64
#define NOTED 60

struct slot {
  word from;
  word end;
  /* Bytes that are replaced at once: the host's page, or its huge page. */
  word grain;
  /* Of all pages replaced; the addresses of the first ones. */
  word count;
  word pages[NOTED];
};

static struct {
  /* Of all slots. */
  volatile word count;
  struct slot slots[SLOTS];
} record;

static struct action before;
static volatile int passing;

static int replace(word address) {
  int i;
  for (i = 0; i < SLOTS; i++) {
    struct slot *slot = &record.slots[i];
    word page;
    if (address < slot->from || address >= slot->end) continue;
    page = address & ~(slot->grain - 1);
    if (mmap((void *)page, slot->grain, READ_WRITE, PRIVATE_FIXED_ANONYMOUS, -1, 0) == FAILED) return 0;
    if (slot->count < NOTED) slot->pages[slot->count] = page;
    slot->count++;
    record.count++;
    return 1;
  }
  return 0;
}

static void on_bus_error(int signal, char *info, void *context) {
  int code = *(int *)(info + 8);
  word address = *(word *)(info + 16);
  if (code == BUS_ADRERR && replace(address)) return;
  /* Whoever comes before us may hand it back: then nobody wants it, and the next fault ends the process. */
  if (passing || (word)before.handler <= 1) {
    struct action none = {0};
    sigaction(SIGBUS, &none, 0);
    return;
  }
  passing = 1;
  if (before.flags & SA_SIGINFO) ((void (*)(int, char *, void *))before.handler)(signal, info, context);
  else ((void (*)(int))before.handler)(signal);
  passing = 0;
}

/* Before all else. */
void guard_calls(word sigaction_at, word mmap_at) {
  sigaction = (int (*)(int, const struct action *, struct action *))sigaction_at;
  mmap = (void *(*)(void *, word, int, int, int, long))mmap_at;
}

/* Guards a range and answers its slot; -1 where there is none left, or the signal cannot be had. */
int guard_add(word from, word length, word grain) {
  struct action now = {0};
  struct action present = {0};
  int i;
  if (sigaction(SIGBUS, 0, &present) != 0) return -1;
  if (present.handler != (void *)on_bus_error) {
    now.handler = (void *)on_bus_error;
    now.flags = SA_SIGINFO | SA_ONSTACK;
    before = present;
    if (sigaction(SIGBUS, &now, 0) != 0) return -1;
  }
  for (i = 0; i < SLOTS; i++) {
    struct slot *slot = &record.slots[i];
    if (slot->end != 0) continue;
    slot->grain = grain;
    slot->count = 0;
    slot->from = from;
    slot->end = from + length;
    return i;
  }
  return -1;
}

void guard_remove(int slot) {
  record.slots[slot].end = 0;
  record.slots[slot].from = 0;
}

/* Starts to count anew: the range holds what it should again. */
void guard_clear(int slot) {
  record.slots[slot].count = 0;
}

void *guard_record(void) {
  return &record;
}

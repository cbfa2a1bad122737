// Reader of flattened device trees (DTSpec 0.4 §5). One pass numbers the nodes; the rest works from their offsets.
#include "fdt.h"

#include "text.h"

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };
enum { MAX_NODES = 512, MAX_DEPTH = 32, MAX_SIZE = 4 << 20 };

static struct {
  const u8 *blob, *structs, *strings;
  u32 size, structs_size, strings_size;
  int count;
  bool complete;
} fdt;

static struct {
  u32 at; // of its properties
  u32 name;
  int parent;
} nodes[MAX_NODES];

u32 fdt_cell(const u8 *data) { return (u32)data[0] << 24 | (u32)data[1] << 16 | (u32)data[2] << 8 | data[3]; }

static bool terminated(const u8 *text, u32 room, u32 *size) {
  for (u32 i = 0; i < room; i++) {
    if (text[i]) continue;
    *size = i + 1;
    return true;
  }
  return false;
}

static u32 align4(u32 value) { return (value + 3) & ~3u; }

// The token at `at`, END for anything that is not sound. `property->next` is set past it, `name` within the structs.
static u32 token(u32 at, u32 *name, struct fdt_property *property) {
  u32 room = fdt.structs_size, size;
  if (at > room - 4 || (at & 3)) return END;
  u32 kind = fdt_cell(fdt.structs + at);
  at += 4;
  property->next = at;
  if (kind == BEGIN_NODE) {
    if (!terminated(fdt.structs + at, room - at, &size)) return END;
    *name = at;
    property->next = align4(at + size);
  } else if (kind == PROP) {
    if (room - at < 8) return END;
    u32 bytes = fdt_cell(fdt.structs + at), string = fdt_cell(fdt.structs + at + 4);
    at += 8;
    if (bytes > room - at || string >= fdt.strings_size) return END;
    if (!terminated(fdt.strings + string, fdt.strings_size - string, &size)) return END;
    property->name = (const char *)fdt.strings + string;
    property->data = fdt.structs + at;
    property->length = bytes;
    property->next = align4(at + bytes);
  } else if (kind != END_NODE && kind != NOP) {
    return END;
  }
  return kind;
}

bool fdt_open(ulong address) {
  const u8 *blob = (const u8 *)address;
  if (!address || (address & 3) || fdt_cell(blob) != 0xd00dfeed) return false;
  u32 size = fdt_cell(blob + 4), structs = fdt_cell(blob + 8), strings = fdt_cell(blob + 12);
  u32 strings_size = fdt_cell(blob + 32), structs_size = fdt_cell(blob + 36);
  if (fdt_cell(blob + 20) < 17 || fdt_cell(blob + 24) > 17) return false; // version, last compatible version
  if (size > MAX_SIZE || structs > size || structs_size > size - structs || structs_size < 4) return false;
  if (strings > size || strings_size > size - strings || (structs & 3)) return false;
  fdt.blob = blob;
  fdt.size = size;
  fdt.structs = blob + structs;
  fdt.structs_size = structs_size;
  fdt.strings = blob + strings;
  fdt.strings_size = strings_size;

  struct fdt_property step;
  int open[MAX_DEPTH], depth = 0;
  u32 name;
  for (u32 at = 0;; at = step.next) {
    u32 kind = token(at, &name, &step);
    if (kind == BEGIN_NODE) {
      if (fdt.count == MAX_NODES || depth == MAX_DEPTH || (fdt.count && !depth)) return fdt.count > 0;
      nodes[fdt.count].at = step.next;
      nodes[fdt.count].name = name;
      nodes[fdt.count].parent = depth ? open[depth - 1] : NO_NODE;
      open[depth++] = fdt.count++;
    } else if (kind == END_NODE) {
      if (!depth--) return fdt.count > 0;
    } else if (kind == END) {
      fdt.complete = fdt.count && !depth;
      return fdt.count > 0;
    }
  }
}

void fdt_extent(ulong *start, ulong *end) {
  *start = (ulong)fdt.blob;
  *end = *start + fdt.size;
}

int fdt_count(void) { return fdt.count; }
bool fdt_complete(void) { return fdt.complete; }
const char *fdt_name(int node) { return (const char *)fdt.structs + nodes[node].name; }
int fdt_parent(int node) { return nodes[node].parent; }

bool fdt_next_property(int node, struct fdt_property *property) {
  u32 name, kind = NOP;
  if (!property->next) property->next = nodes[node].at;
  while (kind == NOP) kind = token(property->next, &name, property);
  return kind == PROP;
}

const u8 *fdt_get(int node, const char *name, u32 *length) {
  struct fdt_property property = {.next = 0};
  while (fdt_next_property(node, &property)) {
    if (!same(property.name, name)) continue;
    *length = property.length;
    return property.data;
  }
  *length = 0;
  return 0;
}

const char *fdt_string(int node, const char *name) {
  u32 size;
  const u8 *data = fdt_get(node, name, &size);
  return size && !data[size - 1] ? (const char *)data : 0;
}

u32 fdt_u32(int node, const char *name, u32 otherwise) {
  u32 size;
  const u8 *data = fdt_get(node, name, &size);
  return size == 4 ? fdt_cell(data) : otherwise;
}

bool fdt_is(int node, const char *compatible) {
  u32 size;
  const u8 *list = fdt_get(node, "compatible", &size);
  if (!size || list[size - 1]) return false;
  for (const char *at = (const char *)list; at < (const char *)list + size; at += length(at) + 1)
    if (same(at, compatible)) return true;
  return false;
}

bool fdt_enabled(int node) {
  const char *status = fdt_string(node, "status");
  return !status || same(status, "okay") || same(status, "ok");
}

int fdt_find(const char *compatible, int after) {
  while (++after < fdt.count)
    if (fdt_is(after, compatible) && fdt_enabled(after)) return after;
  return NO_NODE;
}

// The character of `name` after the first `size` of `wanted`; -1 if those differ.
static int rest_after(const char *name, const char *wanted, ulong size) {
  for (ulong i = 0; i < size; i++)
    if (name[i] != wanted[i]) return -1;
  return (u8)name[size];
}

// A path component names a node with or without its unit address (DTSpec §2.2.3).
static bool name_matches(const char *name, const char *wanted, ulong size) {
  int rest = rest_after(name, wanted, size);
  return !rest || rest == '@';
}

int fdt_by_path(const char *path) {
  int node = 0;
  if (*path != '/') {
    int aliases = fdt_by_path("/aliases");
    if (aliases == NO_NODE) return NO_NODE;
    struct fdt_property alias = {.next = 0};
    while (fdt_next_property(aliases, &alias)) {
      int rest = rest_after(path, alias.name, length(alias.name));
      if (rest && rest != ':') continue;
      bool sound = alias.length && !alias.data[alias.length - 1] && alias.data[0] == '/';
      return sound ? fdt_by_path((const char *)alias.data) : NO_NODE;
    }
    return NO_NODE;
  }
  for (;;) {
    while (*path == '/') path++;
    ulong size = 0;
    while (path[size] && path[size] != '/' && path[size] != ':') size++;
    if (!size) return node;
    int child = node + 1;
    while (child < fdt.count && !(nodes[child].parent == node && name_matches(fdt_name(child), path, size))) child++;
    if (child == fdt.count) return NO_NODE;
    node = child;
    path += size;
  }
}

int fdt_by_phandle(u32 phandle) {
  for (int node = 0; node < fdt.count; node++)
    if (phandle && fdt_u32(node, "phandle", 0) == phandle) return node;
  return NO_NODE;
}

static u64 cells(const u8 *data, u32 count) {
  u64 value = 0;
  while (count--) value = value << 32 | fdt_cell(data), data += 4;
  return value;
}

static bool cell_counts(int bus, u32 *address, u32 *size) {
  *address = fdt_u32(bus, "#address-cells", 2); // defaults: DTSpec §2.3.5
  *size = fdt_u32(bus, "#size-cells", 1);
  return *address - 1 < 2 && *size <= 2; // PCI's three cells are no address the CPU can use
}

bool fdt_reg(int node, int index, u64 *address, u64 *size) {
  int bus = nodes[node].parent;
  u32 address_cells, size_cells, bytes;
  if (bus == NO_NODE || !cell_counts(bus, &address_cells, &size_cells)) return false;
  const u8 *reg = fdt_get(node, "reg", &bytes);
  u32 entry = 4 * (address_cells + size_cells);
  if (bytes < entry * (u32)(index + 1)) return false;
  reg += entry * (u32)index;
  *address = cells(reg, address_cells);
  *size = cells(reg + 4 * address_cells, size_cells);

  while (nodes[bus].parent != NO_NODE) {
    int above = nodes[bus].parent;
    u32 above_cells, above_size_cells;
    const u8 *ranges = fdt_get(bus, "ranges", &bytes);
    if (!ranges || !cell_counts(above, &above_cells, &above_size_cells)) return false;
    entry = 4 * (address_cells + above_cells + size_cells);
    bool found = !bytes; // an empty ranges is the identity
    for (; !found && bytes >= entry; bytes -= entry, ranges += entry) {
      u64 child = cells(ranges, address_cells), span = cells(ranges + 4 * (address_cells + above_cells), size_cells);
      if (*address - child >= span) continue;
      *address = *address - child + cells(ranges + 4 * address_cells, above_cells);
      found = true;
    }
    if (!found) return false;
    address_cells = above_cells;
    size_cells = above_size_cells;
    bus = above;
  }
  return true;
}

// The flattened device tree that came in a1, read in place. Every step is bounds-checked: the blob is input, not truth.
#pragma once

#include "machine.h"

#define NO_NODE (-1)

struct fdt_property {
  const char *name;
  const u8 *data;
  u32 length;
  u32 next; // where the next one is looked for
};

bool fdt_open(ulong address);
void fdt_extent(ulong *start, ulong *end);
int fdt_count(void); // nodes are numbered 0 (the root) .. fdt_count() - 1 in document order
bool fdt_complete(void);

const char *fdt_name(int node);
int fdt_parent(int node);
bool fdt_next_property(int node, struct fdt_property *property); // start with { .next = 0 }
const u8 *fdt_get(int node, const char *name, u32 *length);
const char *fdt_string(int node, const char *name); // null unless properly terminated
u32 fdt_cell(const u8 *data);
u32 fdt_u32(int node, const char *name, u32 otherwise);
bool fdt_is(int node, const char *compatible);
bool fdt_enabled(int node);
int fdt_find(const char *compatible, int after); // the next enabled one; start with NO_NODE
int fdt_by_path(const char *path);               // or an alias; what follows ':' is left aside
int fdt_by_phandle(u32 phandle);
bool fdt_reg(int node, int index, u64 *address, u64 *size); // as the CPU sees it, through every ranges

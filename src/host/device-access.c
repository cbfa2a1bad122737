/*
 * Loads and stores of device registers. Each function is one access of exactly its width: `volatile` forbids merging,
 * repeating and leaving out, and nothing in JavaScript or WebAssembly promises that for memory. Windows are known by their
 * number, so that a call takes small integers alone, which cost least on the way here.
 *
 * Compiled at run time without headers, by a compiler that does no more than it is told.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define WINDOWS 1024

static char *bases[WINDOWS];

void set_base(int window, u64 address) { bases[window] = (char *)address; }

u32 load8(int window, u32 offset) { return *(volatile u8 *)(bases[window] + offset); }
u32 load16(int window, u32 offset) { return *(volatile u16 *)(bases[window] + offset); }
u32 load32(int window, u32 offset) { return *(volatile u32 *)(bases[window] + offset); }
u64 load64(int window, u32 offset) { return *(volatile u64 *)(bases[window] + offset); }

void store8(int window, u32 offset, u32 value) { *(volatile u8 *)(bases[window] + offset) = (u8)value; }
void store16(int window, u32 offset, u32 value) { *(volatile u16 *)(bases[window] + offset) = (u16)value; }
void store32(int window, u32 offset, u32 value) { *(volatile u32 *)(bases[window] + offset) = value; }
void store64(int window, u32 offset, u64 value) { *(volatile u64 *)(bases[window] + offset) = value; }

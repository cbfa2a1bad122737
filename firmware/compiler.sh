# Finds a RISC-V GCC and sets the options of all firmware; for the scripts that build it.
# Sets: prefix; common, bench (what is compiled), link.
export LC_ALL=C # the order of the sources is part of the bytes

prefix=
for candidate in ${CROSS_COMPILE:-riscv64-unknown-elf- riscv64-elf- riscv64-linux-gnu-}; do
  if command -v "${candidate}gcc" >/dev/null 2>&1; then prefix=$candidate; break; fi
done
if [ -z "$prefix" ]; then
  echo "$(basename "$0"): no RISC-V compiler${CROSS_COMPILE:+ ${CROSS_COMPILE}gcc}. Debian, Ubuntu: apt install gcc-riscv64-unknown-elf (or gcc-riscv64-linux-gnu)," >&2
  echo "$(basename "$0"): or name yours: CROSS_COMPILE=riscv64-whatever- $0" >&2
  exit 1
fi

# Freestanding: no libc, no libgcc. Without symbols and build ids no path of this machine gets into a file.
common="-std=gnu17 -mcmodel=medany -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables"
common="$common -fno-tree-loop-distribute-patterns -ffunction-sections -Wall -Wextra"
# Small pages in the file only: the linker scripts keep code and data in different 4 KiB pages of memory.
link="-nostdlib -static -no-pie -s -Wl,--gc-sections,--build-id=none,-z,max-page-size=64"
bench="-march=rv64gc_zicsr_zifencei -mabi=lp64d -O2"

#!/bin/sh
# Rebuilds every ELF file in firmware/ with a stock RISC-V GCC. The same compiler gives the same bytes.
# Usage: build.sh [FOLDER for the results; default: beside the sources]
set -eu
out=
if [ $# -gt 0 ]; then mkdir -p "$1" && out=$(cd "$1" && pwd); fi
cd "$(dirname "$0")"
out=${out:-.}
mkdir -p "$out/bench"

export LC_ALL=C # the order of the sources is part of the bytes

prefix=
for candidate in ${CROSS_COMPILE:-riscv64-unknown-elf- riscv64-elf- riscv64-linux-gnu-}; do
  if command -v "${candidate}gcc" >/dev/null 2>&1; then prefix=$candidate; break; fi
done
if [ -z "$prefix" ]; then
  echo "build.sh: no RISC-V compiler${CROSS_COMPILE:+ ${CROSS_COMPILE}gcc}. Debian, Ubuntu: apt install gcc-riscv64-unknown-elf (or gcc-riscv64-linux-gnu)," >&2
  echo "build.sh: or name yours: CROSS_COMPILE=riscv64-whatever- $0" >&2
  exit 1
fi
echo "$("${prefix}gcc" --version | head -n 1)"

# Freestanding: no libc, no libgcc. Without symbols and build ids no path of this machine gets into a file.
common="-std=gnu17 -mcmodel=medany -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables"
common="$common -fno-tree-loop-distribute-patterns -ffunction-sections -Wall -Wextra"
# Small pages in the file only: the linker scripts keep code and data in different 4 KiB pages of memory.
link="-nostdlib -static -no-pie -s -Wl,--gc-sections,--build-id=none,-z,max-page-size=64"

# -fno-jump-tables, -fno-tree-switch-conversion: no tables of addresses, so that the image runs wherever it is loaded.
monitor="-march=rv64imac_zicsr_zifencei -mabi=lp64 -Os -msave-restore"
monitor="$monitor -msmall-data-limit=1024 -malign-data=natural"
monitor="$monitor -fno-jump-tables -fno-tree-switch-conversion"
bench="-march=rv64gc_zicsr_zifencei -mabi=lp64d -O2"

# shellcheck disable=SC2086 # the options are words
{
  "${prefix}gcc" $common $monitor -nostdlib -r -o "$out/monitor.o" monitor/*.S monitor/*.c
  if "${prefix}readelf" -rW "$out/monitor.o" | grep 'R_RISCV_\(64\|32\|HI20\) '; then
    echo "build.sh: the monitor holds an absolute address and could not run elsewhere" >&2
    exit 1
  fi
  rm "$out/monitor.o"
  "${prefix}gcc" $common $monitor $link -T monitor/monitor.ld -o "$out/monitor.elf" monitor/*.S monitor/*.c
  "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/bench/poweroff.elf" bench/poweroff.S
  for name in coremark-like mmio; do
    "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/bench/$name.elf" bench/start.S bench/board.c "bench/$name.c"
  done
}
ls -l "$out/monitor.elf" "$out"/bench/*.elf

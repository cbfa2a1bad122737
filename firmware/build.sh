#!/bin/sh
# Rebuilds every ELF file in firmware/ with a stock RISC-V GCC. The same compiler gives the same bytes.
# Usage: build.sh [FOLDER for the results; default: beside the sources]
set -eu
out=
if [ $# -gt 0 ]; then mkdir -p "$1" && out=$(cd "$1" && pwd); fi
cd "$(dirname "$0")"
out=${out:-.}
mkdir -p "$out/bench" "$out/exits" "$out/pass" "$out/sbi" "$out/trials"

. ./compiler.sh
echo "$("${prefix}gcc" --version | head -n 1)"

# -fno-jump-tables, -fno-tree-switch-conversion: no tables of addresses, so that the image runs wherever it is loaded.
monitor="-march=rv64imac_zicsr_zifencei -mabi=lp64 -Os -msave-restore"
monitor="$monitor -msmall-data-limit=1024 -malign-data=natural"
monitor="$monitor -fno-jump-tables -fno-tree-switch-conversion"

anywhere="-march=rv64imac_zicsr_zifencei -mabi=lp64 -O2 -fno-jump-tables -fno-tree-switch-conversion"

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
  "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/bench/mmio.elf" \
    bench/start.S bench/board.c bench/memory.c bench/mmio.c
  # Where SBI firmware starts what comes after it; nobody sets gp there.
  "${prefix}gcc" $common $bench $link -Wl,-N,--no-relax,-Ttext=0x80200000 -o "$out/sbi/vendor.elf" sbi/vendor.S
  # Flat, for boards with RAM anywhere: an ELF file that is not linked as PIE, which this compiler cannot, says where it goes.
  "${prefix}gcc" $common $anywhere $link -T bench/vdevs/vdevs.ld -o "$out/vdevs.elf" \
    bench/vdevs/start.S bench/vdevs/main.c bench/vdevs/virtqueue.c bench/memory.c
  "${prefix}objcopy" -O binary "$out/vdevs.elf" "$out/bench/vdevs.bin"
  rm "$out/vdevs.elf"
  for name in cross faults modes parallel remap selfcode timers; do
    extra=
    if [ $name != selfcode ] && [ $name != parallel ]; then extra=trials/paging.c; fi
    "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/trials/$name.elf" \
      trials/start.S bench/board.c bench/memory.c "trials/$name.c" $extra
  done
  for name in edu rng shared; do
    "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/pass/$name.elf" \
      trials/start.S bench/board.c bench/memory.c pass/access.c "pass/$name.c"
  done
  # This one keeps symbols and lines, which name where its exits come from.
  "${prefix}gcc" $common $bench $(echo "$link" | sed 's/ -s / /') -g1 -gdwarf-5 -fdebug-prefix-map="$PWD=." -fno-inline \
    -T bench/bench.ld -o "$out/exits/exits.elf" exits/start.S exits/exits.c
  "${prefix}gcc" $common $bench $link -T bench/bench.ld -o "$out/bench/coremark-like.elf" \
    bench/start.S bench/board.c bench/memory.c bench/coremark-like.c bench/coremark-work.c
}
# All but the largest, which is made when it is wanted.
# shellcheck disable=SC2046
bench/engine/build.sh bare "$out/bench/engine" $(bench/engine/build.sh names | sed 's/ wide//')
ls -l "$out/monitor.elf" "$out"/bench/*.elf "$out/bench/vdevs.bin" "$out"/exits/*.elf "$out"/pass/*.elf "$out"/bench/engine/*.elf "$out"/sbi/*.elf "$out"/trials/*.elf

#!/bin/sh
# Builds engine benchmarks: `bare` images for QEMU's virt map, or `linux`, all in one static program without a libc.
# Usage: build.sh bare|linux FOLDER [NAMES...]     LAYOUT=N in the environment puts N bytes before the code (bare only)
#        build.sh names        what there is
set -eu
BARE_ONLY="mmio traps"
EVERYWHERE="atomics bignum bytecode chase copy coremark double fib fma indirect records sha single sort stream wide"
if [ "$1" = names ]; then echo "$BARE_ONLY $EVERYWHERE" && exit; fi

what=$1
mkdir -p "$2" && out=$(cd "$2" && pwd)
shift 2
cd "$(dirname "$0")/.."
. ../compiler.sh

# What a kernel is made of, besides its own file.
compile() { # NAME OBJECT
  contract=fast
  if [ "$1" = double ]; then contract=off; fi
  # shellcheck disable=SC2086 # the options are words
  "${prefix}gcc" $common $bench -ffp-contract=$contract -c -o "$2" "engine/$1.c"
}

objects=$(mktemp -d)
trap 'rm -r "$objects"' EXIT

case $what in
bare)
  for name in ${*:-$BARE_ONLY $EVERYWHERE}; do
    extra=
    if [ "$name" = coremark ]; then extra=coremark-work.c; fi
    compile "$name" "$objects/$name.o"
    # shellcheck disable=SC2086
    "${prefix}gcc" $common $bench $link -Wl,--defsym=layout="${LAYOUT:-0}" -DTHE_KERNEL="$name" -T bench.ld \
      -o "$out/$name.elf" start.S board.c memory.c engine/bare.c "$objects/$name.o" $extra
  done
  ;;
linux)
  for name in ${*:-$EVERYWHERE}; do compile "$name" "$objects/$name.o"; done
  # shellcheck disable=SC2086
  "${prefix}gcc" $common $bench $link -Wl,-Ttext-segment=0x10000 -Wl,-z,max-page-size=4096 -o "$out/kernels" \
    engine/linux.c memory.c coremark-work.c "$objects"/*.o
  ;;
esac

#!/usr/bin/env bash
# Builds the stopwatch's kernel module and its program for UIO, and an initramfs that holds both.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=firmware/linux/apt-root.sh
. "$here/../apt-root.sh"

usage() {
  cat <<USAGE
usage: ${0##*/} [HEADERS] [CACHE]

Makes CACHE/stopwatch/: stopwatch.ko, stopwatch-uio, and initramfs.cpio.gz, which is CACHE/debian's with both in /stopwatch.
HEADERS is what an external module of the driver-rich kernel builds against, a folder or a .tar.xz: VMRUN_KERNEL_HEADERS
if set, else CACHE/driver-kernel/headers.tar.xz. CACHE is VMRUN_CACHE if set, else cache/ beside ${here##*/}/.

  CROSS_COMPILE   prefix of the cross compiler (riscv64-linux-gnu-)
USAGE
}

case ${1:-} in
  -h | --help) usage && exit ;;
  -*) die "unknown option '$1'" "see ${0##*/} --help" ;;
esac

open_cache "${2:-${VMRUN_CACHE:-$here/../cache}}" stopwatch
headers=${1:-${VMRUN_KERNEL_HEADERS:-$cache/driver-kernel/headers.tar.xz}}
base=$cache/debian/initramfs.cpio.gz
out=$cache/stopwatch
export ARCH=riscv CROSS_COMPILE=${CROSS_COMPILE:-riscv64-linux-gnu-}
need "${CROSS_COMPILE}gcc" gcc-riscv64-linux-gnu
need make make
need cpio cpio
[ -e "$headers" ] || die "no kernel headers at $headers" "name their folder or archive, as an argument or in VMRUN_KERNEL_HEADERS"
[ -s "$base" ] || die "no $base" "firmware/linux/fetch-debian.sh makes it"

work=$(mktemp -d "$cache/stopwatch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/module" "$work/out"

if [ -d "$headers" ]; then
  tree=$(cd "$headers" && pwd)
else
  tree=$work/headers
  mkdir "$tree"
  tar -xJf "$headers" -C "$tree"
fi

say "compiling the module"
cp "$here"/{Kbuild,stopwatch.c} "$work/module/"
make -s -C "$tree" M="$work/module" modules >"$work/log" 2>&1 || {
  tail -n 20 "$work/log" >&2
  die "the module does not compile"
}
"${CROSS_COMPILE}strip" --strip-debug "$work/module/stopwatch.ko"

say "compiling the program"
"${CROSS_COMPILE}gcc" -static -Os -Wall -Wextra -s -o "$work/out/stopwatch-uio" "$here/stopwatch-uio.c"
cp "$work/module/stopwatch.ko" "$work/out/"

# The kernel unpacks archives that follow one another, each compressed by itself.
say "assembling the initramfs"
mkdir -p "$work/root/stopwatch"
cp "$work/out"/stopwatch{.ko,-uio} "$work/root/stopwatch/"
find "$work/root" -exec touch -d @0 {} +
(cd "$work/root" && printf '%s\n' stopwatch stopwatch/stopwatch.ko stopwatch/stopwatch-uio |
  cpio --quiet -o -H newc -R 0:0 --reproducible | gzip -9n) >"$work/extra.cpio.gz"
cat "$base" "$work/extra.cpio.gz" >"$work/out/initramfs.cpio.gz"

rm -rf "$out"
mv "$work/out" "$out"
say "done: $out"

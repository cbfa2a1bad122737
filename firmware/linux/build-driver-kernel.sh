#!/usr/bin/env bash
# Builds the driver-rich riscv64 test kernel from Debian's kernel source package and driver-kernel.config.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=firmware/linux/apt-root.sh
. "$here/apt-root.sh"

readonly SOURCE_PACKAGE=linux-source-6.12

usage() {
  cat <<USAGE
usage: ${0##*/} [--refresh] [CACHE]

Builds CACHE/driver-kernel/Image.gz: Linux for riscv64 with the drivers of vmrun's devices built in.
CACHE is VMRUN_CACHE if set, else ${here##*/}/cache. Takes minutes and about 2 GB there while it runs.

  --refresh   build again even if it is there: a newer source package, if Debian has one

  CROSS_COMPILE          prefix of the cross compiler (riscv64-linux-gnu-)
  VMRUN_JOBS             compilers at a time (one per processor)
  VMRUN_DEBIAN_MIRROR    the mirror to use instead of the one in the machine's apt configuration
  VMRUN_DEBIAN_KEYRING   the keyring that verifies it, if not the one of 'debian-archive-keyring'
USAGE
}

refresh=
folder=${VMRUN_CACHE:-$here/cache}
while [ $# -gt 0 ]; do
  case $1 in
    --refresh) refresh=1 ;;
    -h | --help) usage && exit ;;
    -*) die "unknown option '$1'" "see ${0##*/} --help" ;;
    *) folder=$1 ;;
  esac
  shift
done

open_cache "$folder" driver-kernel
out=$cache/driver-kernel

recipe=$(cat "$here"/{build-driver-kernel.sh,driver-kernel.config} | sha256sum)
if [ -z "$refresh" ] && [ -s "$out/Image.gz" ] && [ "$(cat "$out/.recipe" 2>/dev/null)" = "$recipe" ]; then
  say "$out is complete (--refresh looks for a newer source package)"
  exit
fi

export ARCH=riscv CROSS_COMPILE=${CROSS_COMPILE:-riscv64-linux-gnu-}
need "${CROSS_COMPILE}gcc" gcc-riscv64-linux-gnu
need gcc gcc
need make make
need bc bc
need bison bison
need flex flex
need xz xz-utils

open_apt_root
fetch_package "$SOURCE_PACKAGE"
close_apt_root

work=$(mktemp -d "$cache/driver-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/package" "$work/out"
log=$work/log

# step MESSAGE COMMAND ARG...: run a part of the build; only a failure shows what it printed.
step() {
  say "$1"
  shift
  "$@" >>"$log" 2>&1 || {
    cp "$log" "$cache/driver-kernel.log"
    tail -n 20 "$log" | sed 's/^/    /' >&2
    die "'$*' failed" "the whole output is in $cache/driver-kernel.log"
  }
}

step "unpacking the source" dpkg-deb -x "$deb" "$work/package"
step "unpacking the source further" tar -xJf "$work/package/usr/src/$SOURCE_PACKAGE.tar.xz" -C "$work"
cd "$work/$SOURCE_PACKAGE"

# The SP805 is an AMBA device like the others, but its driver is offered to Arm alone.
sed -i '/^config ARM_SP805_WATCHDOG$/,/^config /s/depends on (.*) && ARM_AMBA/depends on ARM_AMBA/' drivers/watchdog/Kconfig
grep -A2 '^config ARM_SP805_WATCHDOG$' drivers/watchdog/Kconfig | grep -q 'depends on ARM_AMBA$' ||
  die "drivers/watchdog/Kconfig has changed around ARM_SP805_WATCHDOG" "this script must follow"

# The same sources give the same kernel, whoever builds them.
KBUILD_BUILD_TIMESTAMP=$(date -u -r Makefile)
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=vmrun KBUILD_BUILD_HOST=vmrun KBUILD_BUILD_VERSION=1

step "configuring" make allnoconfig
step "merging driver-kernel.config" scripts/kconfig/merge_config.sh -m .config "$here/driver-kernel.config"
step "settling the configuration" make olddefconfig

# Kconfig drops what it cannot have without a word; a driver that is missing should be found here, not in a test.
refused=$(sed -n 's/^\(CONFIG_[A-Z0-9_a-z]*\)=n$/!\1=/p; s/^CONFIG_.*=[^n].*$/&/p' "$here/driver-kernel.config" |
  while read -r line; do
    case $line in
      !*) grep -q "^${line#!}" .config && printf '%s\n' "${line#!}n" || true ;;
      *) grep -qxF "$line" .config || printf '%s\n' "$line" ;;
    esac
  done)
[ -z "$refused" ] || die "the kernel's configuration refuses these lines of driver-kernel.config:" $refused

step "compiling (some minutes)" make -j "${VMRUN_JOBS:-$(nproc)}" Image.gz modules

# What a module outside the tree is built against: headers, scripts, the build's own description, exported symbols.
step "packing the headers" tar -cJf "$work/out/headers.tar.xz" --sort=name --mtime="$KBUILD_BUILD_TIMESTAMP" \
  --owner=0 --group=0 --exclude='*.o' --exclude='*.cmd' \
  Makefile .config Module.symvers include scripts arch/riscv/Makefile arch/riscv/Makefile.postlink arch/riscv/include

cp arch/riscv/boot/Image.gz .config "$work/out/"
mv "$work/out/.config" "$work/out/config"
printf '%s %s\n' "$SOURCE_PACKAGE" "$version" >"$work/out/VERSIONS"
printf '%s\n' "$recipe" >"$work/out/.recipe"
rm -rf "$out"
mv "$work/out" "$out"
say "done: $out/Image.gz, and headers.tar.xz for modules outside the tree"

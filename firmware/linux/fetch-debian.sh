#!/usr/bin/env bash
# Assembles a riscv64 Linux guest from Debian packages: kernel, initramfs, OpenSBI and U-Boot.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=firmware/linux/apt-root.sh
. "$here/apt-root.sh"
# shellcheck source=firmware/linux/initramfs.sh
. "$here/initramfs.sh"

usage() {
  cat <<USAGE
usage: ${0##*/} [--refresh] [CACHE]

Puts into CACHE/debian what a riscv64 board needs to boot Debian's kernel to a busybox shell.
CACHE is VMRUN_CACHE if set, else ${here##*/}/cache. Nothing else on this machine changes.

  --refresh   assemble again even if everything is there: newer packages, if Debian has them

  VMRUN_DEBIAN_MIRROR    the mirror to use instead of the one in the machine's apt configuration
  VMRUN_DEBIAN_KEYRING   the keyring that verifies it, if not the one of 'debian-archive-keyring'
USAGE
}

# Modules for the initramfs. What they depend on comes along; what the kernel has built in is passed over.
modules=(virtio_mmio virtio_blk virtio_net virtio_rng ext4 crc32c_generic)
products=(Image initramfs.cpio.gz fw_jump.bin fw_jump.elf fw_dynamic.bin fw_dynamic.elf u-boot.bin VERSIONS)

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

open_cache "$folder" debian
out=$cache/debian

# The products stand for these sources: a change in one of them means assembling again.
recipe=$(cat "$here"/{fetch-debian.sh,apt-root.sh,initramfs.sh,init} | sha256sum)
is_complete() {
  [ "$(cat "$out/.recipe" 2>/dev/null)" = "$recipe" ] || return 1
  local product
  for product in "${products[@]}"; do
    [ -s "$out/$product" ] || return 1
  done
}
if [ -z "$refresh" ] && is_complete; then
  say "$out is complete (--refresh looks for newer packages)"
  exit
fi

need cpio cpio
need depmod kmod
need xz xz-utils

open_apt_root
work=$(mktemp -d "$cache/debian.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/root" "$work/stage" "$work/out"

# --- Packages -------------------------------------------------------------------------------------------------------

kernel_package=$(package_field linux-image-riscv64 Depends | sed -n 's/^\(linux-image-[^ ,]*\).*/\1/p')
[ -n "$kernel_package" ] || die "Debian $SUITE has no kernel for riscv64"
for package in "$kernel_package" busybox-static opensbi u-boot-qemu; do
  fetch_package "$package"
  dpkg-deb -x "$deb" "$work/root"
  printf '%s %s\n' "$package" "$version" >>"$work/out/VERSIONS"
done
close_apt_root

# --- Kernel and firmware --------------------------------------------------------------------------------------------

kernel=$(one_of "$work"/root/boot/vmlinu[xz]-*)
case $(od -An -tx1 -N2 "$kernel") in
  ' 1f 8b') gzip -dc "$kernel" >"$work/out/Image" ;;
  *) cp "$kernel" "$work/out/Image" ;;
esac
# Linux Documentation/arch/riscv/boot-image-header.rst: magic2 "RSC\x05" at 0x38.
[ "$(od -An -tx1 -j56 -N4 "$work/out/Image")" = ' 52 53 43 05' ] ||
  die "${kernel##*/} is not a riscv64 Image" "Debian packs its kernel in a new way; this script must follow"

for name in fw_jump.bin fw_jump.elf fw_dynamic.bin fw_dynamic.elf; do
  cp "$(one_of "$work/root/usr/lib/riscv64-linux-gnu/opensbi/generic/$name")" "$work/out/$name"
done
cp "$(one_of "$work/root/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")" "$work/out/u-boot.bin"

# --- Initramfs ------------------------------------------------------------------------------------------------------

stage=$work/stage
mkdir -p "$stage"/{bin,sbin,dev,etc,lib/modules,mnt,proc,root,sys,tmp,usr/bin,usr/sbin}
install -m 755 "$(one_of "$work"/root/{usr/bin,bin}/busybox)" "$stage/bin/busybox"
install -m 755 "$here/init" "$stage/init"
# What `mount` without -t tries first: ext4 is not in /proc/filesystems before its module is loaded.
echo ext4 >"$stage/etc/filesystems"

install_modules "$work/root" "$stage" "${modules[@]}"
pack_initramfs "$stage" >"$work/out/initramfs.cpio.gz"

# --- Into place -----------------------------------------------------------------------------------------------------

printf '%s\n' "$recipe" >"$work/out/.recipe"
rm -rf "$out"
mv "$work/out" "$out"
say "done: $out"
(cd "$out" && ls -l "${products[@]}" | awk '{ printf "    %10d  %s\n", $5, $NF }' >&2)

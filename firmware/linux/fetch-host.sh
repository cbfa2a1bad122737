#!/usr/bin/env bash
# Assembles an x86-64 Linux from Debian packages to run vmrun in: a host whose PCI devices may be passed through.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

ARCHITECTURE=amd64
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=firmware/linux/apt-root.sh
. "$here/apt-root.sh"
# shellcheck source=firmware/linux/initramfs.sh
. "$here/initramfs.sh"

usage() {
  cat <<USAGE
usage: ${0##*/} [--refresh] [CACHE]

Puts into CACHE/host Debian's x86-64 kernel, and an initramfs with busybox and the modules of VFIO and UIO. Its init runs
/job, which a second archive brings along, and switches off. CACHE is VMRUN_CACHE if set, else ${here##*/}/cache.

  --refresh   assemble again even if everything is there: newer packages, if Debian has them
USAGE
}

modules=(vfio vfio_pci vfio_iommu_type1 uio uio_pci_generic)

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

open_cache "$folder" host
out=$cache/host
recipe=$(cat "$here"/{fetch-host.sh,apt-root.sh,initramfs.sh,host-init} | sha256sum)
if [ -z "$refresh" ] && [ "$(cat "$out/.recipe" 2>/dev/null)" = "$recipe" ]; then
  say "$out is complete (--refresh looks for newer packages)"
  exit
fi
need cpio cpio
need depmod kmod
need xz xz-utils

open_apt_root
work=$(mktemp -d "$cache/host.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{root,out,stage/{bin,dev,proc,sys,tmp}}
kernel_package=$(package_field linux-image-amd64 Depends | sed -n 's/^\(linux-image-[^ ,]*\).*/\1/p')
[ -n "$kernel_package" ] || die "Debian $SUITE has no kernel for amd64"
for package in "$kernel_package" busybox-static; do
  fetch_package "$package"
  dpkg-deb -x "$deb" "$work/root"
  printf '%s %s\n' "$package" "$version" >>"$work/out/VERSIONS"
done
close_apt_root

cp "$(one_of "$work"/root/boot/vmlinuz-*)" "$work/out/vmlinuz"
install -m 755 "$(one_of "$work"/root/{usr/bin,bin}/busybox)" "$work/stage/bin/busybox"
install -m 755 "$here/host-init" "$work/stage/init"
install_modules "$work/root" "$work/stage" "${modules[@]}"
pack_initramfs "$work/stage" >"$work/out/initramfs.cpio.gz"

printf '%s\n' "$recipe" >"$work/out/.recipe"
rm -rf "$out"
mv "$work/out" "$out"
say "done: $out"

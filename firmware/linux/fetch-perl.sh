#!/usr/bin/env bash
# Puts Debian's perl with the libraries that it needs into an archive, to be unpacked over an initramfs.
set -euo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=firmware/linux/apt-root.sh
. "$here/apt-root.sh"

case ${1:-} in
  -h | --help)
    echo "usage: ${0##*/} [CACHE]     makes CACHE/perl/perl.cpio; CACHE is VMRUN_CACHE if set, else ${here##*/}/cache"
    exit
    ;;
  -*) die "unknown option '$1'" "see ${0##*/} --help" ;;
esac

open_cache "${1:-${VMRUN_CACHE:-$here/cache}}" perl
out=$cache/perl
if [ -s "$out/perl.cpio" ]; then
  say "$out is complete"
  exit
fi
need cpio cpio

open_apt_root
work=$(mktemp -d "$cache/perl.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
for package in perl-base libc6 libcrypt1; do
  fetch_package "$package"
  dpkg-deb -x "$deb" "$work/root"
  printf '%s %s\n' "$package" "$version" >>"$work/VERSIONS"
done
close_apt_root

# What perl is linked with, by the names that it asks for, at the place where the kernel looks for the loader.
stage=$work/stage
mkdir -p "$stage/usr/bin" "$stage/lib/riscv64-linux-gnu"
cp "$work/root/usr/bin/perl" "$stage/usr/bin/"
for name in ld-linux-riscv64-lp64d.so.1 libc.so.6 libm.so.6 libcrypt.so.1; do
  file=$(find "$work/root" -name "$name" | head -n 1)
  [ -n "$file" ] || die "the packages hold no $name" "the layout of Debian's packages has changed; this script must follow"
  cp -L "$file" "$stage/lib/riscv64-linux-gnu/$name"
done
ln -s riscv64-linux-gnu/ld-linux-riscv64-lp64d.so.1 "$stage/lib/ld-linux-riscv64-lp64d.so.1"

mkdir -p "$out"
find "$stage" -mindepth 1 -exec touch -hd @0 {} +
(cd "$stage" && find . -mindepth 1 | sort | cpio -o -H newc -R 0:0 --reproducible --quiet) >"$out/perl.cpio.new"
mv "$work/VERSIONS" "$out/VERSIONS"
mv "$out/perl.cpio.new" "$out/perl.cpio"
say "$out/perl.cpio: $(sed -n 's/^perl-base /perl /p' "$out/VERSIONS")"

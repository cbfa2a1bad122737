# Sourced by scripts that assemble an initramfs from unpacked Debian packages; after apt-root.sh, whose words it uses.

# one_of PATTERN...: the first file there is; packages have moved theirs before.
one_of() {
  local file
  for file; do
    [ ! -e "$file" ] || { printf '%s\n' "$file" && return; }
  done
  die "the packages hold no ${1#"$work/root"}" "the layout of Debian's packages has changed; this script must follow"
}

# install_modules ROOT STAGE MODULE...: modules of the kernel whose package is unpacked in ROOT, with all that they need.
# What the kernel has built in is passed over.
install_modules() {
  local root=$1 stage=$2 tree release module files file plain
  shift 2
  # The package's own tree is the one that knows what depends on what.
  [ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
  tree=$(one_of "$root"/lib/modules/*)
  release=${tree##*/}
  depmod -b "$root" "$release"
  mkdir -p "$stage/lib/modules/$release"
  cp "$tree"/modules.{builtin,builtin.modinfo,order} "$stage/lib/modules/$release/"
  for module; do
    files=$(with_dependencies "$tree" "$module")
    for file in $files; do
      plain=$stage/lib/modules/$release/${file%.xz}
      mkdir -p "${plain%/*}"
      case $file in
        *.xz) xz -dc "$tree/$file" >"$plain" ;;
        *.ko) cp "$tree/$file" "$plain" ;;
        *) die "module ${file##*/} is packed in an unknown way" ;;
      esac
    done
  done
  depmod -b "$stage" "$release"
  rm -f "$stage/lib/modules/$release"/modules.{*.bin,order,builtin.modinfo} # busybox does not read these
}

# with_dependencies TREE MODULE: the files to be copied, or nothing if it is built in.
with_dependencies() {
  awk -F: -v name="$2" '
    { module = $1; sub(/.*\//, "", module); sub(/\.ko.*/, "", module); gsub(/-/, "_", module) }
    module == name { print FILENAME ~ /builtin/ ? "" : $1 $2; found = 1; exit }
    END { exit !found }' "$1/modules.dep" "$1/modules.builtin" ||
    die "kernel ${1##*/} has no module '$2'"
}

# pack_initramfs STAGE: the folder as an archive, to standard output; the same bytes from the same files.
pack_initramfs() {
  say "packing the initramfs"
  find "$1" -exec touch -h -d '@0' {} +
  (cd "$1" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) | gzip -9n
}

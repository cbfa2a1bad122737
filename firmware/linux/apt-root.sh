# Sourced by the scripts beside it: a private apt root for Debian, so that packages are fetched
# and verified with the machine's own apt while nothing outside the cache folder changes.

readonly SUITE=trixie
# Another one is set before this is sourced.
readonly ARCHITECTURE=${ARCHITECTURE:-riscv64}

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf '%s: error: %s\n' "${0##*/}" "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  hint: %s\n' "$@" >&2
  exit 1
}

# need TOOL PACKAGE: stop, naming the Debian package, when a tool is missing.
need() {
  command -v "$1" >/dev/null || die "the tool '$1' is missing" "it is in the Debian package '$2': apt-get install $2"
}

# lock FILE: wait until no other run holds it, then hold it to the end, on a file descriptor left in $lock_fd.
lock() {
  exec {lock_fd}>"$1"
  flock -n "$lock_fd" || { say "waiting for another run that holds $1" && flock "$lock_fd"; }
}

# open_cache FOLDER PRODUCT: make the cache folder, make its name absolute (in $cache), and keep other runs that make
# the same product out of it.
open_cache() {
  mkdir -p "$1" 2>/dev/null && [ -w "$1" ] ||
    die "cannot write to the cache folder $1" "name another one, as an argument or in VMRUN_CACHE"
  cache=$(cd "$1" && pwd)
  lock "$cache/.lock-$2"
}

# The Debian mirror that the machine itself uses, from .list and .sources files alike: apt parses them.
# A folder named "debian" is preferred, because other archives borrow Debian's suite names.
host_mirror() {
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | awk '
    $2 != "main" || $3 ~ /^cdrom:/ { next }
    $1 !~ /^((old)*stable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)(-updates|-backports)?$/ { next }
    !first { first = $3 }
    !best && $3 ~ /\/debian\/?$/ { best = $3 }
    END { print best ? best : first }'
}

debian_keyring() {
  local file
  for file in "${VMRUN_DEBIAN_KEYRING:-}" /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    [ -z "$file" ] || [ ! -r "$file" ] || { printf '%s\n' "$file" && return; }
  done
  die "no Debian archive keyring to verify the packages with" \
    "it is in the package 'debian-archive-keyring'; or name a keyring file in VMRUN_DEBIAN_KEYRING"
}

# open_apt_root: make the private root in $cache/apt and bring its package lists up to date. Other runs wait for it
# until close_apt_root.
open_apt_root() {
  need apt-get apt
  need dpkg-deb dpkg
  local mirror keyring
  mirror=${VMRUN_DEBIAN_MIRROR:-$(host_mirror)}
  [ -n "$mirror" ] || die "this machine's apt configuration names no Debian mirror" \
    "set VMRUN_DEBIAN_MIRROR to the URL of one"
  keyring=$(debian_keyring)

  apt_root=$cache/apt
  [ "$ARCHITECTURE" = riscv64 ] || apt_root+=-$ARCHITECTURE
  mkdir -p "$apt_root"/{lists,archives}/partial "$apt_root/debs"
  lock "$apt_root/.lock"
  apt_lock=$lock_fd
  : >"$apt_root/status"
  # A mirror's URL may hold a password, so only the owner reads this file.
  (umask 077 && printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$SUITE" >"$apt_root/sources.list")
  # Read after the host's configuration: proxies stay, what would touch the host or mislead apt here goes.
  cat >"$apt_root/apt.conf" <<CONF
#clear APT::Architectures;
#clear APT::Default-Release;
#clear APT::Update;
#clear DPkg;
APT::Architecture "$ARCHITECTURE";
APT::Architectures { "$ARCHITECTURE"; };
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State "$apt_root";
Dir::State::lists "$apt_root/lists";
Dir::State::status "$apt_root/status";
Dir::Cache "$apt_root";
Dir::Cache::archives "$apt_root/archives";
Dir::Etc::sourcelist "$apt_root/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
CONF

  say "reading the package lists of Debian $SUITE $ARCHITECTURE from $(sed 's#//[^/@]*@#//#' <<<"$mirror")"
  in_apt_root apt-get update
}

close_apt_root() {
  exec {apt_lock}>&-
}

# in_apt_root COMMAND ARG...: run an apt command in the private root; its chatter shows only when it fails.
in_apt_root() {
  local command=$1
  shift
  "$command" -q -c "$apt_root/apt.conf" "$@" >"$apt_root/log" 2>&1 || {
    sed 's/^/    /' "$apt_root/log" >&2
    die "'$command $1' failed" "is the network up, and does the mirror carry Debian $SUITE?" \
      "another mirror can be named in VMRUN_DEBIAN_MIRROR"
  }
}

# package_field PACKAGE FIELD: a field of the package's newest version.
package_field() {
  apt-cache -c "$apt_root/apt.conf" show --no-all-versions "$1" 2>/dev/null | sed -n "s/^$2: //p"
}

# fetch_package PACKAGE: verified download of the newest version; leaves the file's path in $deb, and $version.
fetch_package() {
  local arch
  version=$(package_field "$1" Version)
  arch=$(package_field "$1" Architecture)
  [ -n "$version" ] || die "Debian $SUITE has no package '$1' for $ARCHITECTURE"
  deb=$apt_root/debs/${1}_${version//:/%3a}_$arch.deb
  if [ ! -e "$deb" ]; then
    say "fetching $1 $version"
    (cd "$apt_root/archives" && in_apt_root apt-get download "$1")
    mv "$apt_root/archives/${deb##*/}" "$deb"
  fi
}

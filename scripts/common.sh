# shellcheck shell=bash
# Functions that test.sh and demo.sh share; sourced, not run. What they do can be
# changed by these environment variables:
#   NIBBLE_SKIP_INSTALL=1   install no Debian packages; they are there, or elsewhere
#   NIBBLE_CMAKE_ARGS=...   further arguments for the configuration

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
venv=$root/.venv
packages=(
  libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools clang-22 clang-format-22
  lld-22 liblld-22-dev libomp-22-dev libclang-rt-22-dev
  libprotobuf-dev protobuf-compiler libeigen3-dev libgtest-dev zlib1g-dev libzstd-dev
  cmake ninja-build ccache python3 python3-venv
)

say() { printf '== %s\n' "$*"; }

die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

# Those of the packages that are not installed.
missing_packages() {
  local package
  for package in "${packages[@]}"; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
    installed*) ;;
    *) echo "$package" ;;
    esac
  done
}

install_packages() {
  [ -z "${NIBBLE_SKIP_INSTALL:-}" ] || return 0
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    die "this system has no apt-get, so nothing can be installed for you" \
      "Nibble needs: LLVM and MLIR 22 with their CMake packages, clang 22, lld 22 (with" \
      "its libraries) and LLVM's OpenMP; protobuf 3.21, Eigen 3.4, GoogleTest, zlib, zstd;" \
      "CMake 3.22, Ninja, Python 3.11 with venv." \
      "When they are there, run again with NIBBLE_SKIP_INSTALL=1 and say where, e.g." \
      "NIBBLE_CMAKE_ARGS='-DMLIR_DIR=PREFIX/lib/cmake/mlir -DCMAKE_CXX_COMPILER=clang++'"
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "packages are missing, and there is neither root nor sudo to install them" \
        "as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q
    -o DPkg::Lock::Timeout=300)
  say "installing ${missing[*]}"
  "${apt[@]}" update >/dev/null || die "apt-get update failed; is there a network?"
  local package unknown=()
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || unknown+=("$package")
  done
  [ ${#unknown[@]} -eq 0 ] ||
    die "apt knows no ${unknown[*]}" \
      "Debian 12 has LLVM 22 among its security updates: enable them. On other systems" \
      "add LLVM's own apt repository for version 22, then run this again."
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >"$(log_file apt)" 2>&1 ||
    die "installing packages failed" "$(tail -n 5 "$(log_file apt)")"
}

log_file() {
  mkdir -p "$build/logs"
  echo "$build/logs/$1.log"
}

# A virtual environment with the pinned packages, made again when the pins change.
make_venv() {
  local pins=$root/scripts/requirements-test.txt
  local stamp
  stamp=$venv/pins-$(sha256sum <"$pins" | cut -c1-16)
  [ ! -e "$stamp" ] || return 0
  say "installing Python packages"
  local log
  log=$(log_file pip)
  if ! python3 -m venv "$venv" >"$log" 2>&1 ||
    ! "$venv/bin/pip" install -q --disable-pip-version-check -r "$pins" >>"$log" 2>&1; then
    die "installing Python packages failed" "$(tail -n 5 "$log")"
  fi
  rm -f "$venv"/pins-*
  touch "$stamp"
}

# build_nibble [targets...]
build_nibble() {
  local log
  log=$(log_file configure)
  # Again when a build was configured by hand: the tests need this Python.
  if [ ! -e "$build/build.ninja" ] || [ -n "${NIBBLE_CMAKE_ARGS:-}" ] ||
    ! grep -q "^NIBBLE_PYTHON:.*=$venv/bin/python\$" "$build/CMakeCache.txt"; then
    say "configuring"
    # Word splitting of the arguments is wanted.
    # shellcheck disable=SC2086
    (cd "$root" && cmake --preset default "-DNIBBLE_PYTHON=$venv/bin/python" \
      ${NIBBLE_CMAKE_ARGS:-} >"$log" 2>&1) ||
      die "configuring failed" "$(tail -n 20 "$log")"
  fi
  say "building (the first time takes several minutes)"
  local start=$SECONDS
  if [ -t 1 ]; then
    ninja -C "$build" "$@" || die "the build failed"
  else
    log=$(log_file build)
    ninja -C "$build" "$@" >"$log" 2>&1 || die "the build failed" "$(tail -n 40 "$log")"
  fi
  say "built in $((SECONDS - start)) s"
}

# Everything up to a finished build.
prepare() {
  install_packages
  make_venv
  build_nibble "$@"
  export NIBBLE_BUILD=$build PYTHONPATH=$root/python
}

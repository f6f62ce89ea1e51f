#!/usr/bin/env bash
# usage: prerequisites.sh [--python] [PYTHON]
#
# Checks the tools that a build needs from the system: Python >= 3.11 with venv, a C compiler (linker), and
# cargo >= the workspace's rust-version. As root on Debian it installs the first two; otherwise it says
# what to do. With --python it prints the interpreter to use and nothing else.
set -euo pipefail

only_python=false
if [ "${1:-}" = --python ]; then only_python=true; shift; fi
wanted=${1:-python3}
rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")

recent_python() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in "$wanted" python3 python3.14 python3.13 python3.12 python3.11; do
  if command -v "$candidate" >/dev/null && recent_python "$candidate"; then
    python=$(command -v "$candidate")
    break
  fi
done
if $only_python; then
  echo "${python:?no Python 3.11 or newer found}"
  exit 0
fi

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
install() {
  echo "installing $* with apt-get" >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
}
missing=()

if [ -z "$python" ]; then
  missing+=("Python 3.11 or newer: apt-get install python3 python3-venv, or PYTHON=/path/to/python make build")
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if ! may_install || ! install "$package"; then
    missing+=("the venv module of $python: apt-get install $package")
  fi
fi

if ! command -v cc >/dev/null; then
  if ! may_install || ! install gcc libc6-dev; then
    missing+=("a C compiler, which Rust links with: apt-get install gcc libc6-dev")
  fi
fi

if ! command -v cargo >/dev/null; then
  missing+=("cargo: install rustup (Debian 13: apt-get install rustup), then: rustup default stable")
else
  found=$(cargo --version | awk '{ print $2 }')
  if [ "$(printf '%s\n%s\n' "$rust_needed" "$found" | sort -V | head -n 1)" != "$rust_needed" ]; then
    missing+=("Rust $rust_needed or newer (this is $found): rustup update stable")
  fi
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "fscore cannot be built here yet. Missing:" >&2
  printf '  - %s\n' "${missing[@]}" >&2
  exit 1
fi

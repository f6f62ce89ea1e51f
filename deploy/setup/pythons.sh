#!/usr/bin/env bash
# usage: pythons.sh
#
# Finds an interpreter of each Python that fscore supports, on the PATH or among pyenv's. It prints a line
# for each, such as `3.12 /usr/bin/python3.12`, and names missing versions on standard error.
set -euo pipefail

is_version() {
  [ "$("$2" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]
}

for version in 3.11 3.12 3.13 3.14; do
  found=
  # pyenv has a shim of this name even if another version is chosen; the shim then does not run.
  mapfile -t newest_first < <(compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version.*/bin/python" | sort -rV)
  for candidate in $(type -ap "python$version") "${newest_first[@]}"; do
    if is_version "$version" "$candidate"; then found=$candidate; break; fi
  done
  if [ -n "$found" ]; then
    echo "$version $found"
  else
    echo "no Python $version here" >&2
  fi
done

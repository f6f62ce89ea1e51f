#!/usr/bin/env bash
# What the benchmarks need of the system beside Redis: wrk, and hiredis for the peers in C. As root on a
# Debian it installs them; elsewhere it says what is missing, and those parts say that they are left out.
# Go is taken where it is there, and not installed.
set -euo pipefail

packages=()
command -v wrk >/dev/null || packages+=(wrk)
if ! echo '#include <hiredis/hiredis.h>' | cc -x c - -fsyntax-only 2>/dev/null; then packages+=(libhiredis-dev); fi
if [ ${#packages[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing for some benchmarks (Debian: apt-get install ${packages[*]})" >&2
  exit 0
fi
echo "installing ${packages[*]} with apt-get"
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null

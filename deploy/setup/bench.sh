#!/usr/bin/env bash
# Installs the system packages of the benchmarks, except Redis: wrk, hiredis for the peers in C, and perf
# for the profile. It installs them as root on Debian. Elsewhere it says what is missing, and the parts
# that need it are left out. Go is used if it is there, but not installed.
set -euo pipefail

packages=()
command -v wrk >/dev/null || packages+=(wrk)
if ! echo '#include <hiredis/hiredis.h>' | cc -x c - -fsyntax-only 2>/dev/null; then packages+=(libhiredis-dev); fi
# Not every distribution has a package of perf.
optional=()
command -v perf >/dev/null || optional+=(linux-perf)
if [ $((${#packages[@]} + ${#optional[@]})) = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing for some benchmarks (Debian: apt-get install ${packages[*]} ${optional[*]})" >&2
  exit 0
fi
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
echo "installing ${packages[*]} ${optional[*]} with apt-get"
apt-get update -qq >/dev/null || [ ${#packages[@]} = 0 ]
if [ ${#packages[@]} != 0 ]; then install "${packages[@]}"; fi
if [ ${#optional[@]} != 0 ]; then
  install "${optional[@]}" || echo "no ${optional[*]} here: the profile is left out" >&2
fi

#!/usr/bin/env bash
# The tests and benchmarks start Redis servers of their own, so they need the binary, not a service.
# As root on Debian this installs it without starting the system's service on port 6379.
set -euo pipefail

if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "redis-server is missing: install it (Debian: apt-get install redis-server) and run this again" >&2
  exit 1
fi

# dpkg asks this file whether a freshly installed service may start; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
echo "installing redis-server with apt-get (its service is not started)"
{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server redis-tools; } >/dev/null

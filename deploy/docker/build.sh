#!/usr/bin/env bash
# usage: build.sh PREFIX
#
# Builds both wheels from this checkout and installs them, with what they depend on, into a new virtual
# environment at PREFIX. The Dockerfile's build stage runs it, and so does check.sh.
set -euo pipefail
prefix=${1:?usage: build.sh PREFIX}
cd "$(dirname "$0")/../.."

export PIP_CONSTRAINT=$PWD/deploy/setup/constraints.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/tools"
"$work/tools/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
"$work/tools/bin/python" -m pip install --quiet --group build
export PATH="$work/tools/bin:$PATH"
maturin build --release --locked --quiet --out "$work/dist"
python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/dist" ./server

# Both wheels in one command, by path, so that pip asks no index for either.
core=$(echo "$work"/dist/fscore_core-*.whl)
server=$(echo "$work"/dist/fscore_server-*.whl)
python3 -m venv "$prefix"
"$prefix/bin/python" -m pip install --quiet --disable-pip-version-check "${core}[arrow,uvloop]" "${server}[otel]"
"$prefix/bin/python" -m pip uninstall --quiet --yes pip

#!/usr/bin/env bash
# usage: test-wheel.sh PYTHON
#
# Builds both wheels and runs tests against them installed in a fresh environment, in a folder where the
# checkout cannot be imported by accident. What wheels may lack are modules, data, commands and the
# extension, all of which the command line, the server and a replay of the example need; what the library
# does with them is tested in the checkout. Tests marked `checkout` read the repository and stay out.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m maturin build --release --locked --quiet --out "$work/dist" --interpreter "$python"
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/dist" ./server
core=$(echo "$work"/dist/fscore_core-*.whl)
server=$(echo "$work"/dist/fscore_server-*.whl)

"$python" -m venv "$work/venv"
installed=$work/venv/bin/python
"$installed" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
"$installed" -m pip install --quiet "${core}[arrow,uvloop]" "$server" --group "$checkout/pyproject.toml:test"

mkdir "$work/run"
cp -r tests examples pyproject.toml "$work/run"
cd "$work/run"
"$installed" -c '
import sys, fscore, fscore._fscore, fscore_server
for module in (fscore, fscore._fscore, fscore_server):
    assert module.__file__.startswith(sys.prefix), f"{module.__name__} comes from {module.__file__}"
'
read -r -a arguments <<<"${PYTEST_ARGS:-}"
PATH="$work/venv/bin:$PATH" "$installed" -m pytest -m "not checkout" \
  tests/cli tests/native tests/replay tests/server "${arguments[@]}"

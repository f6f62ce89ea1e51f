#!/usr/bin/env bash
# usage: test-wheel.sh PYTHON
#
# Builds both wheels, installs them in fresh environments and runs tests/wheel outside the checkout. These
# tests find a module, data, a command or the extension that a wheel lacks. The behaviour of the code is
# tested in the checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
export PIP_CONSTRAINT=$checkout/deploy/setup/constraints.txt

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install() {
  test -d "$work/$1" || "$python" -m venv --without-pip "$work/$1"
  "$python" -m pip --python "$work/$1/bin/python" install --quiet --disable-pip-version-check "${@:2}"
}

"$python" -m maturin build --release --locked --quiet --out "$work/dist" --interpreter "$python"
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work/dist" ./server
core=$(echo "$work"/dist/fscore_core-*.whl)
server=$(echo "$work"/dist/fscore_server-*.whl)

mkdir "$work/run"
cd "$work/run"
install library "$core"
"$work/library/bin/python" -W error "$checkout/tests/wheel/mandatory.py" fscore

# Both wheels in one command, by path, so that pip asks no index for either.
install whole "$core" "$server"
"$work/whole/bin/python" -W error "$checkout/tests/wheel/mandatory.py" fscore_server
install whole "${core}[arrow,uvloop]" "${server}[otel]" pytest
"$work/whole/bin/python" -c '
import sys, fscore, fscore._fscore, fscore_server
for module in (fscore, fscore._fscore, fscore_server):
    assert module.__file__.startswith(sys.prefix), f"{module.__name__} comes from {module.__file__}"
'
# Without the checkout's configuration and conftest.py, which would put the checkout on the path.
"$work/whole/bin/python" -m pytest --config-file /dev/null --rootdir "$work/run" --import-mode importlib \
  --confcutdir "$checkout/tests/wheel" -p no:cacheprovider -W error --strict-markers "$checkout/tests/wheel"

#!/usr/bin/env bash
# The Dockerfile's build steps in a clean folder, then the image's command and health check, as the
# image would run them. For machines without a container engine.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
server=
# shellcheck disable=SC2329  # the trap below calls it
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" || true; fi
  rm -rf "$work"
}
trap finish EXIT

mkdir "$work/src" "$work/home"
git ls-files -z -- pyproject.toml Cargo.toml Cargo.lock LICENSE README.md rust fscore server deploy |
  xargs -0 cp --parents -t "$work/src"
"$work/src/deploy/docker/build.sh" "$work/prefix"

# As in the image: outside the checkout, and as another user than root if others can run this Python.
cp deploy/docker/healthcheck.py "$work/prefix/healthcheck.py"
python=$work/prefix/bin/python
FSCORE_PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export FSCORE_HOST=127.0.0.1 FSCORE_PORT HOME="$work/home" PATH="$work/prefix/bin:$PATH"
cd "$work/home"
fscore --help >/dev/null
as=()
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  chmod 755 "$work"
  chown -R 65534:65534 "$work/home"
  as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  version='import sys; print(sys.version, sys.base_prefix)'
  if [ "$("${as[@]}" "$python" -c "$version" 2>&1)" != "$("$python" -c "$version")" ]; then
    echo "docker-check: serving as root, because only root can run $(readlink -f "$python")"
    as=()
  fi
fi
"${as[@]}" fscore serve >"$work/serve.log" 2>&1 &
server=$!

for _ in $(seq 100); do
  if python "$work/prefix/healthcheck.py" 2>"$work/health.log"; then
    echo "docker-check: built, served and healthy"
    exit 0
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 0.2
done
cat "$work/serve.log" "$work/health.log" >&2
exit 1

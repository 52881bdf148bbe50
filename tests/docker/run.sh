#!/bin/sh
# Lints the Dockerfile with hadolint, compares it with Cargo.toml and jobs/kubernetes/, and runs its build command on exactly the files
# that .dockerignore lets through (CARGO_TARGET_DIR: where; PROFILE: default dist). No image is built: that needs a Docker daemon.
# Needs Python 3.11 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${VENV:-$root/target/docker/venv}
[ -x "$venv/bin/python" ] || { mkdir -p "$(dirname "$venv")"; python3 -m venv "$venv"; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
PATH="$venv/bin:$PATH" "$venv/bin/python" "$here/check.py" "$root"

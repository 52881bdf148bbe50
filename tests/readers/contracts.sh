#!/bin/sh
# Checks the Open Data Contracts under docs/contracts/ with `datacontract`: their form (lint), and the results and the
# exports of the sample (test), in the working folder. Its DuckDB is an older one than that of requirements.txt, so it has
# an environment of its own. Usage: contracts.sh VENV, with results/ in the working folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$1

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/contracts-requirements.txt"
"$venv/bin/python" "$here/contracts.py" "$venv/bin/datacontract" "$root"

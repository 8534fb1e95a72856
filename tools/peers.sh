#!/bin/sh
# Makes the environment of the systems that `make bench` runs beside WSAIOS, from constraints/peers.txt; cheap to repeat.
# Usage: tools/peers.sh PYTHON FOLDER
set -eu
python=$1
folder=$2
cd "$(dirname "$0")/.."
here=$(pwd -P)
pins=constraints/peers.txt

# Scripts of an environment hold its path, so a checkout that moved gets a new one; so does one with other pins.
[ "$(cat "$folder/.place" 2>/dev/null)" = "$here" ] && cmp -s "$pins" "$folder/.pins" && exit 0
printf 'making %s with the systems of %s\n' "$folder" "$pins" >&2
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip --disable-pip-version-check --no-input install -q --no-deps -r "$pins" >&2
"$folder/bin/python" -m pip --disable-pip-version-check check >&2
cp "$pins" "$folder/.pins"
echo "$here" >"$folder/.place"

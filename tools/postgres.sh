#!/bin/sh
# Sees to it that the tests find a PostgreSQL server: installs Debian's package where it is missing and that is allowed.
# Never fails: without a server the tests of it say that they were skipped, or fail where CI=true.
set -eu

say() { printf '%s\n' "$*" >&2; }
is_there() {
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$program" ] && return 0
    done
    command -v postgres >/dev/null
}

is_there && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "no PostgreSQL server here; installing the package postgresql"
    # The package would make and start a server of its own on port 5432, which nobody asked for.
    settings=${CREATECLUSTER_CONF:-/etc/postgresql-common/createcluster.conf}
    [ -e "$settings" ] || { mkdir -p "${settings%/*}" && echo 'create_main_cluster = false' >"$settings"; }
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Options::=--force-confold postgresql >&2 || true
fi
is_there || say "no PostgreSQL server here: its tests are skipped. On Debian or Ubuntu run: sudo apt-get install postgresql"

#!/bin/sh
# Sees to it that a Redis server is there for `make bench`: installs Debian's package where it is missing and that is allowed.
# Never fails: what needs the server says that it is missing.
set -eu

say() { printf '%s\n' "$*" >&2; }

command -v redis-server >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "no Redis server here; installing the package redis-server"
    # The package would start a server of its own on port 6379, which nobody asked for.
    policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    fi
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Options::=--force-confold redis-server >&2 || true
fi
command -v redis-server >/dev/null ||
    say "no Redis server here: what needs it cannot be measured. On Debian or Ubuntu run: sudo apt-get install redis-server"

#!/bin/sh
# What the tests need from the system: a real Chromium for the pages, strace to see the disk before the reply, a real
# Prometheus that writes to us, nginx, HAProxy and Apache for their access logs, and in CI npm, to build the script for
# browsers again. Find it, install it if we may, else say how.
set -eu
PATH=$PATH:/usr/sbin  # where Debian has servers

has() {
    for name in "$@"; do
        command -v "$name" > /dev/null && return 0
    done
    return 1
}

missing() {
    has chromium chromium-browser google-chrome || printf 'chromium '
    [ "$(uname)" != Linux ] || has strace || printf 'strace '
    [ "$(uname)" != Linux ] || has prometheus || printf 'prometheus '
    [ "$(uname)" != Linux ] || has nginx || printf 'nginx '
    [ "$(uname)" != Linux ] || has haproxy || printf 'haproxy '
    [ "$(uname)" != Linux ] || has apache2 || printf 'apache2-bin '
    [ -z "${CI:-}" ] || has npm || printf 'npm '
}

[ -n "$(missing)" ] || exit 0
install="apt-get install --yes --no-install-recommends $(missing)"
if [ "$(id -u)" = 0 ] && has apt-get; then
    echo "Installing $(missing)for the tests ..."
    # shellcheck disable=SC2086  the names are words
    apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive $install --quiet=2 > /dev/null
    [ -n "$(missing)" ] || exit 0
fi
echo "The tests need $(missing). Debian, Ubuntu: sudo $install; then run 'make test' again." >&2
exit 1

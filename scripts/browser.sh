#!/bin/sh
# The tests of the pages drive a real Chromium: find it, install it if we may, else say how.
set -eu
names="chromium chromium-browser google-chrome"

found() {
    for name in $names; do
        command -v "$name" > /dev/null && return 0
    done
    return 1
}

found && exit 0
install="apt-get install --yes --no-install-recommends chromium"
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "Installing Chromium for the tests of the pages ..."
    apt-get update --quiet=2 && DEBIAN_FRONTEND=noninteractive $install --quiet=2 > /dev/null
    found && exit 0
fi
echo "The tests of the pages need Chromium. Debian, Ubuntu: sudo $install; then run 'make test' again." >&2
exit 1

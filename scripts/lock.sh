#!/bin/sh
# Writes requirements/*.txt: exact versions with hashes for every platform, from pyproject.toml.
#   scripts/lock.sh UV [--upgrade]
# The files name no index, so that they install from whichever one a machine is set up for.
set -eu
uv=$1
shift
common="--universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate --no-header --quiet"
lock() { # TARGET [SOURCE ARGUMENTS...]
    target=requirements/$1.txt
    input=$2
    shift 2
    # shellcheck disable=SC2086  # the words of $common are arguments
    "$uv" pip compile $common --output-file "$target" "$input" "$@"
    { echo "# Made by \`make lock\` from $input; change that file, not this one."; cat "$target"; } > "$target.new"
    mv "$target.new" "$target"
}
lock tools requirements/tools.in "$@"
lock build requirements/build.in "$@"
lock server pyproject.toml --extra server "$@"
lock demo pyproject.toml --extra demo "$@"
lock dev pyproject.toml --extra dev "$@"
lock bench pyproject.toml --extra bench "$@"

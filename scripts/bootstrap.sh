#!/bin/sh
# Puts the pinned uv into .tools with nothing but Python and pip: no venv module, no ensurepip, no root needed.
#   scripts/bootstrap.sh PYTHON
set -eu
python=${1:-}

fail() {
    echo "onejob's set-up stops here: $1" >&2
    exit 1
}

[ -n "$python" ] || fail "there is no python3. Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-pip)."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is $("$python" --version 2>&1), and onejob needs 3.11 or newer: make PYTHON=/path/to/python3.11 ..."
"$python" -m pip --version > /dev/null 2>&1 ||
    fail "$python has no pip. Debian, Ubuntu: apt-get install python3-pip; elsewhere: $python -m ensurepip --user."

echo "Getting uv ..."
rm -rf .tools
"$python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location --root-user-action=ignore \
    --require-hashes --only-binary :all: --target .tools --requirement requirements/tools.txt ||
    fail "pip could not install uv. Its message above says why; a proxy or a mirror is set with pip's own configuration."

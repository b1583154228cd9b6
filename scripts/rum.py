"""Builds the script for browsers, src/onejob/ingest/browser/rum.js, from browser/ and web-vitals, with esbuild.

Both come from npm by the hashes in browser/package-lock.json; the same sources give the same bytes on every machine.

    python scripts/rum.py [--check]
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onejob

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "browser"
TARGET = ROOT / "src/onejob/ingest/browser"
PAGE = ROOT / "docs/browser.md"
_FLAGS = ["--bundle", "--minify", "--format=iife", "--target=es2022", "--legal-comments=none", "--log-level=warning"]
_INTEGRITY = re.compile(r"sha384-[A-Za-z0-9+/=]{64}")


def build() -> dict[Path, bytes]:
    """What each made file must hold."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copytree(SOURCES, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(npm, cwd=work, check=True, stdout=subprocess.DEVNULL)
        package = work / "node_modules/web-vitals"
        notice = f"/*! onejob {onejob.__version__} and web-vitals {_version(package)} (c) Google LLC | Apache-2.0 */"
        command = ["node_modules/.bin/esbuild", "src/main.js", *_FLAGS, f"--banner:js={notice}"]
        command.append(f'--define:VERSION="{onejob.__version__}"')
        script = subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE).stdout
        licence = (package / "LICENSE").read_bytes()
    page = _INTEGRITY.sub(integrity(script), PAGE.read_text()).encode()
    return {TARGET / "rum.js": script, TARGET / "web-vitals-LICENSE.txt": licence, PAGE: page}


def integrity(script: bytes) -> str:
    """What a page can hold the script against (W3C Subresource Integrity)."""
    return "sha384-" + base64.b64encode(hashlib.sha384(script).digest()).decode()


def _version(package: Path) -> str:
    found = re.search(r'"version": "([^"]+)"', (package / "package.json").read_text())
    if found is None:
        raise SystemExit(f"{package} names no version.")
    return found[1]


def main() -> None:
    """Write the files, or with --check fail if one is stale."""
    made = build()
    if "--check" not in sys.argv:
        TARGET.mkdir(exist_ok=True)
        for path, content in made.items():
            path.write_bytes(content)
        return
    stale = [path.relative_to(ROOT) for path, content in made.items() if path.read_bytes() != content]
    if stale:
        raise SystemExit(f"{', '.join(map(str, stale))}: not what browser/ builds; run make rum")


if __name__ == "__main__":
    main()

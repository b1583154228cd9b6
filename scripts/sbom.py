"""Writes a bill of materials (CycloneDX 1.6, JSON): each library that a lock installs, and what pages bring from npm.

python scripts/sbom.py [server|demo|dev] > onejob.cdx.json

It is made of the locks alone, without a network or a library, and the same locks make the same bytes. A library of
which the lock has two versions, for different Pythons or systems, is there twice, each with its condition.
"""

import base64
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("server", "demo", "dev")
_PIN = re.compile(
    r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
_VENDORED = re.compile(r"^\S+: (\S+) (\S+), ", re.M)

Document = dict[str, Any]


def bill(lock: str) -> Document:
    """The whole document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    product = _component("application", "pypi", project["name"], project["version"])
    product["licenses"] = [{"license": {"id": project["license"]}}]
    components = [*_from_pypi((ROOT / f"requirements/{lock}.txt").read_text()), *_from_npm()]
    content = json.dumps([product, components])
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}",
        "version": 1,
        "metadata": {"component": product},
        "components": components,
    }


def _from_pypi(text: str) -> Iterator[Document]:
    for name, version, condition, hashes in _PIN.findall(text):
        component = _component("library", "pypi", name, version)
        if condition:
            component["properties"] = [{"name": "onejob:installed-if", "value": condition}]
        found = [{"alg": "SHA-256", "content": one} for one in re.findall("[0-9a-f]{64}", hashes)]
        component["externalReferences"] = [_download(f"https://pypi.org/project/{name}/{version}/", found)]
        yield component


def _from_npm() -> Iterator[Document]:
    """What is built into the script for browsers, and the files that pages have beside it."""
    packages = json.loads((ROOT / "browser/package-lock.json").read_text())["packages"]
    for path, package in packages.items():
        if path and not package.get("dev"):
            algorithm, _, digest = package["integrity"].partition("-")
            found = [{"alg": algorithm.replace("sha", "SHA-"), "content": base64.b64decode(digest).hex()}]
            yield _npm(path.removeprefix("node_modules/"), package["version"], found)
    vendored = (ROOT / "src/onejob/web/static/vendor/VERSIONS.txt").read_text()
    for name, version in sorted(set(_VENDORED.findall(vendored))):
        yield _npm(name, version, [])


def _npm(name: str, version: str, hashes: list[Document]) -> Document:
    component = _component("library", "npm", name, version)
    component["externalReferences"] = [_download(f"https://www.npmjs.com/package/{name}/v/{version}", hashes)]
    return component


def _component(kind: str, registry: str, name: str, version: str) -> Document:
    address = f"pkg:{registry}/{name.replace('@', '%40')}@{version.replace('+', '%2B')}"
    return {"type": kind, "bom-ref": address, "name": name, "version": version, "purl": address}


def _download(url: str, hashes: list[Document]) -> Document:
    return {"type": "distribution", "url": url} | ({"hashes": hashes} if hashes else {})


def main() -> None:
    """Of the lock that is named; of the demo's, which has the server's in it, unless one is."""
    lock = sys.argv[1] if len(sys.argv) > 1 else "demo"
    if lock not in LOCKS:
        raise SystemExit(f"{lock!r} is no lock: say one of {', '.join(LOCKS)}.")
    print(json.dumps(bill(lock), indent=1))


if __name__ == "__main__":
    main()

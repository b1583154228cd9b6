"""What a rollout must say to move traffic through Envoy, checked before anything is asked or written.

Settings come from whoever starts a rollout: a name that is no host fails here, not in the middle of a rollback.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from onejob.act.drivers.runtime_directory import is_ours
from onejob.act.errors import PlanError

SETTINGS = ("admin_url", "runtime_dir", "runtime_key_prefix", "control_cluster", "treatment_cluster")
_OPTIONAL = "runtime_dir"
_NAME = re.compile(r"[A-Za-z0-9_:|-]+(\.[A-Za-z0-9_:|-]+)*")
_LONGEST = 200
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_HOST = 253


def check_settings(settings: Mapping[str, str]) -> None:
    """PlanError names what is missing, unknown or cannot be right."""
    missing = [name for name in SETTINGS if name != _OPTIONAL and not settings.get(name)]
    unknown = [name[:_LONGEST] for name in settings if name not in SETTINGS]
    if missing or unknown:
        needed = ", ".join(name for name in SETTINGS if name != _OPTIONAL)
        raise PlanError(
            " ".join(
                [
                    f"The envoy driver needs {needed}, and may have {_OPTIONAL}.",
                    *([f"Missing: {', '.join(missing)}."] if missing else []),
                    *([f"Unknown: {', '.join(unknown)}."] if unknown else []),
                ]
            )
        )
    if not _is_url(settings["admin_url"]):
        raise PlanError(
            f"admin_url must look like http://127.0.0.1:9901, without a password, not {_short(settings['admin_url'])}."
        )
    for name in ("runtime_key_prefix", "control_cluster", "treatment_cluster"):
        if len(settings[name]) > _LONGEST or not _NAME.fullmatch(settings[name]):
            raise PlanError(
                f"{name} must be at most {_LONGEST} letters, digits and _ : | - in words joined by dots, "
                f"not {_short(settings[name])}."
            )
    if settings["control_cluster"] == settings["treatment_cluster"]:
        raise PlanError("control_cluster and treatment_cluster must be two clusters.")
    _check_folder(settings.get(_OPTIONAL, ""))


def _check_folder(name: str) -> None:
    if not name:
        return
    folder = Path(name)
    try:
        is_folder = folder.is_absolute() and folder.is_dir()
        others = sorted(path.name for path in folder.iterdir() if not is_ours(path)) if is_folder else []
    except (OSError, ValueError) as error:  # not to be looked into, or no name of a file at all
        raise PlanError(f"runtime_dir {_short(name)} cannot be read: {error}. Name a folder onejob may use.") from error
    if not is_folder:
        raise PlanError(f"runtime_dir must be the absolute path of an existing folder, not {_short(name)}.")
    if others:
        raise PlanError(
            f"runtime_dir {_short(name)} holds other things too ({_short(others[0])}): name a folder that is onejob's "
            "alone, such as a new one."
        )


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        is_plain = not (url.username or url.password or url.query or url.fragment) and text.isprintable()
        return url.scheme in ("http", "https") and is_plain and url.port != 0 and _is_host(url.hostname or "")
    except ValueError:
        return False


def _is_host(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return 0 < len(name) <= _LONGEST_HOST and all(map(_LABEL.fullmatch, name.split(".")))
    return True


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "...")

"""Is there a place to keep things, and is it ours alone? For a server that runs, and for one that does not."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from onejob.config import Settings
from onejob.doctor.finding import Finding, ok, problem, some, warning
from onejob.ingest.spool_file import DAMAGED
from onejob.store.hash_key import KEY_FILE
from onejob.store.lock import LOCK_FILE

_PRIVATE = (".", KEY_FILE, "spool/spool.db")  # what others on the machine must not read
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOW = 4  # times the reserve


def look_at_places(settings: Settings) -> Iterator[Finding]:
    """The data directory: there, ours, not full."""
    folder = settings.data_dir.resolve()
    if folder.exists() and not folder.is_dir():
        yield problem("data directory", f"{folder} is no directory", "set ONEJOB_DATA_DIR to one")
        return
    if not folder.is_dir():
        yield problem(
            "data directory", f"{folder} is not there", "start `onejob serve`, which makes it, or set ONEJOB_DATA_DIR"
        )
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield problem(
            "data directory", f"{folder} may not be written", "change its owner to the user that onejob runs as"
        )
        return
    yield _rights(folder)
    yield _space(settings, folder)
    yield _damage(folder / "spool")


def look_at_ports(settings: Settings) -> Iterator[Finding]:
    """Of a server that does not run: could it listen, and does another one hold the data directory?"""
    owner = _owner(settings.data_dir / LOCK_FILE)
    if owner:
        yield problem(
            "lock", f"process {owner} has the data directory, but does not answer here",
            "say where it listens with --url, or stop it and start it again",
        )  # fmt: skip
    ports = {"ONEJOB_WEB_PORT": settings.web_port, "ONEJOB_OTLP_GRPC_PORT": settings.otlp_grpc_port}
    ports["ONEJOB_OTLP_HTTP_PORT"] = settings.otlp_http_port
    for variable, port in ports.items():
        reason = _taken(settings.listen_host, port)
        if reason:
            yield problem(
                "ports",
                f"port {port} on {settings.listen_host} cannot be used ({reason})",
                f"stop what uses it, or set {variable}; ONEJOB_LISTEN_HOST says where",
            )
        else:
            yield ok("ports", f"port {port} is free" if port else f"{variable} is 0: a free port is picked")


def _rights(folder: Path) -> Finding:
    open_to_others = [
        name for name in _PRIVATE if (folder / name).exists() and (folder / name).stat().st_mode & _OTHERS
    ]
    if open_to_others:
        return warning(
            "rights", f"others on this machine may read {some_of(folder, open_to_others)}", f"chmod -R go-rwx {folder}"
        )
    return ok("rights", f"{folder} is its owner's alone")


def some_of(folder: Path, names: list[str]) -> str:
    return ", ".join(str((folder / name).resolve()) for name in names)


def _space(settings: Settings, folder: Path) -> Finding:
    free, reserve = shutil.disk_usage(folder).free, settings.min_free_disk_bytes
    says = f"{free / 1e9:.1f} GB are free on the disk of {folder}"
    if free < reserve:
        return problem("disk", f"{says}, less than ONEJOB_MIN_FREE_DISK_BYTES: nothing is taken", "free some space")
    if free < _LOW * reserve:
        return warning(
            "disk", f"{says}; below {reserve / 1e9:.1f} GB nothing is taken any more", "free some space soon"
        )
    return ok("disk", says)


def _damage(spool: Path) -> Finding:
    aside = sorted(path.name for path in spool.glob(DAMAGED))
    if aside:
        return warning(
            "spool", f"it was damaged, and rescued as far as it could be read; put aside in {spool}: {some(aside)}",
            "look at the disk; the server's log says what was lost; delete the files when they are of no more use",
        )  # fmt: skip
    return ok("spool", "it was never found damaged")


def _owner(lock: Path) -> str:
    """The process that holds it; empty where none does."""
    try:
        fd = os.open(lock, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(fd)
    return ""


def _taken(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return str(error.strerror or error)
    return ""

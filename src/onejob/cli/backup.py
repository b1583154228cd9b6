"""`onejob backup` and `onejob restore`: everything a server keeps as one file, and back, on any engine."""

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from onejob.cli.client import Api
from onejob.cli.errors import CliError, UsageError
from onejob.cli.options import DEFAULT_URL, Url
from onejob.cli.output import note
from onejob.cli.serve import NEEDED, require_extra

_PATIENCE_S = 600.0
_ERRORS = (("backup", "BackupError"), ("store", "StoreError"), ("state", "StateError"))


def backup(
    target: Annotated[Path, typer.Argument(help="A file that is not there yet, or a folder to put one into.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Write everything the server keeps into one file, while it goes on.

    Telemetry, facts, what waits in the spool, and the key of the hashes. Prints where it is. Keep it as safe as the
    data directory.
    """
    place = target
    if target.is_dir():
        place = target / f"onejob-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
    if place.exists():
        raise UsageError(f"{place} is there already: name another file.")
    new = place.with_name(f".{place.name}.part")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            Api(url, read_timeout_s=_PATIENCE_S).download("api/v1/backup", file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(place)
    except OSError as error:
        raise CliError(f"{place} cannot be written ({error.strerror}): name another place, or make room.") from error
    finally:
        new.unlink(missing_ok=True)
    print(place)


def restore(
    file: Annotated[Path, typer.Argument(help="What `onejob backup` wrote.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The data directory to make, not there yet or empty (ONEJOB_DATA_DIR).")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the file is whole and undamaged.")] = False,
) -> None:
    """Make an installation of a backup.

    On the engines that the environment says, as `onejob serve` reads it: ONEJOB_STORE_URL, ONEJOB_STATE_URL. They need
    not be those that were backed up. Every byte is checked before anything is made. One that was cut off begins anew
    when it is run again; until then no server starts on what is there.
    """
    if not check:
        require_extra("server", NEEDED, "`onejob restore`")
    with _told_in_a_sentence(file), file.open("rb") as archive:
        if check:
            manifest = importlib.import_module("onejob.backup.archive").check(archive)
            print(f"{file} is whole: of {manifest.facts['made_at']}, made by onejob {manifest.facts['onejob']}.")
            return
        settings = _settings(data_dir)
        manifest = importlib.import_module("onejob.backup.restore").restore(archive, settings)
    print(settings.data_dir)
    note(f"Of {manifest.facts['made_at']}. Start it: onejob serve --data-dir {settings.data_dir}")


def _settings(data_dir: Path | None) -> Any:
    """As `onejob serve` reads them."""
    if data_dir is not None:
        os.environ["ONEJOB_DATA_DIR"] = str(data_dir)
    app = importlib.import_module("onejob.app")
    try:
        return app.read_settings()
    except app.CannotStart as error:
        raise UsageError(str(error)) from error


@contextmanager
def _told_in_a_sentence(file: Path) -> Iterator[None]:
    expected = tuple(getattr(importlib.import_module(f"onejob.{folder}.errors"), name) for folder, name in _ERRORS)
    try:
        yield
    except OSError as error:
        raise CliError(f"{error.filename or file}: {error.strerror or error}.") from error
    except expected as error:
        raise CliError(str(error)) from error

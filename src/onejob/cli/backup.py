"""`onejob backup` and `onejob restore`: everything a server keeps as one file, and back."""

import importlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from onejob.cli.client import Api
from onejob.cli.errors import CliError, UsageError
from onejob.cli.options import DEFAULT_URL, Url
from onejob.cli.output import note
from onejob.cli.serve import NEEDED, require_extra

_PATIENCE_S = 600.0


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
    data_dir: Annotated[Path, typer.Option(help="The data directory to make: not there yet, or empty.")],
) -> None:
    """Make a data directory of a backup.

    For `onejob serve` of the release that made it. Every file is checked before anything is put in place.
    """
    require_extra("server", NEEDED, "`onejob restore`")
    backups = importlib.import_module("onejob.backup.restore")
    errors = importlib.import_module("onejob.backup.errors")
    stores = importlib.import_module("onejob.store.errors")
    try:
        with file.open("rb") as archive:
            manifest = backups.restore(archive, data_dir)
    except OSError as error:
        raise CliError(f"{error.filename or file}: {error.strerror or error}.") from error
    except (errors.BackupError, stores.StoreError) as error:
        raise CliError(str(error)) from error
    print(data_dir)
    note(f"Of {manifest.facts['made_at']}. Start it: onejob serve --data-dir {data_dir}")

"""A backup as a server's data directory and databases again, on the engines that the settings name.

The file is read twice: every byte is checked before anything is made. From then on until everything is in its place,
what is being filled is marked (`target`, `store.restoring`, `state.restoring`), and no server starts on it. Whoever
restores again begins anew; only the last of it, when all is there and the marks are taken off, is finished instead:

    check -> mark -> fill -> "whole" -> unmark databases -> unmark the data directory
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from onejob.backup.archive import Content, Manifest, check, contents
from onejob.backup.errors import BackupError, BadBackup
from onejob.backup.facts import FactsBack
from onejob.backup.places import DEFAULT, SPOOL, settings_of
from onejob.backup.target import taken
from onejob.backup.telemetry import TelemetryBack
from onejob.config import Settings
from onejob.ingest.spool_file import tell_restored
from onejob.state import restoring as state_restoring
from onejob.state.database import Database, known_revisions, state_url
from onejob.store import restoring as store_restoring
from onejob.store.engine import Engine, start_engine
from onejob.store.hash_key import KEY_FILE
from onejob.store.migrate import made_names, newest_schema


def restore(file: IO[bytes], settings: Settings) -> Manifest:
    """What `file` is of. Raises BackupError, StoreError, StateError; then the data directory is empty as before."""
    manifest = check(file)
    _refuse_what_does_not_fit(manifest, settings)
    data_dir = settings.data_dir.resolve()
    with taken(data_dir) as mark, ExitStack() as stack:
        places = [_Place(place["name"], settings_of(settings, place["name"])) for place in manifest.facts["places"]]
        for place in places:
            stack.callback(place.close)
        if not mark.is_whole():
            _fill(file, manifest, data_dir, places)
            mark.whole()
        for place in places:
            place.unmark()
    return manifest


class _Place:
    """Where one project goes. The engine is opened when it is asked for, as the key of the hashes must be there."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.database = Database(state_url(settings))
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = start_engine(self.settings, on_close=lambda: None)
        return self._engine

    def unmark(self) -> None:
        state_restoring.end(self.database)
        store_restoring.end(self.engine)

    def close(self) -> None:
        self.database.close()
        if self._engine is not None:
            self._engine.close()


@dataclass(frozen=True, slots=True)
class _Filling:
    """A place, and what is being made of it."""

    place: _Place
    facts: FactsBack
    telemetry: TelemetryBack


def _fill(file: IO[bytes], manifest: Manifest, data_dir: Path, places: list[_Place]) -> None:
    for place in places:
        place.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        state_restoring.begin(place.database)
    fillings: dict[str, _Filling] = {}
    told = {place["name"]: place for place in manifest.facts["places"]}
    where = {place.name: place for place in places}
    for member, content in contents(file, manifest):
        name, _, rest = member.partition("/")
        if member == KEY_FILE:
            _put(content, data_dir / KEY_FILE)
            continue
        if name not in fillings:
            fillings[name] = _begun(where[name], told[name])
        _add(fillings[name], rest, content)
    for filling in fillings.values():
        tell_restored(_spool(filling.place))
        filling.facts.end()
        filling.telemetry.end()


def _begun(place: _Place, told: dict[str, dict[str, object]]) -> _Filling:
    facts = FactsBack(place.database, told["state"])
    facts.begin()
    telemetry = TelemetryBack(place.engine, place.settings, told["telemetry"])
    telemetry.begin()
    return _Filling(place, facts, telemetry)


def _add(filling: _Filling, rest: str, content: Content) -> None:
    if rest == SPOOL:
        _put(content, _spool(filling.place))
        return
    what, table, _ = rest.split("/")
    (filling.facts if what == "state" else filling.telemetry).add(table, content.read())


def _spool(place: _Place) -> Path:
    return place.settings.data_dir.resolve() / "spool" / "spool.db"


def _put(content: Content, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for chunk in content.chunks():
            file.write(chunk)


# --- before anything is made -----------------------------------------------------------------------------------------


def _refuse_what_does_not_fit(manifest: Manifest, settings: Settings) -> None:
    told = manifest.facts
    if told["bin_width_s"] != settings.bin_width_s:
        raise BackupError(
            f"The backup's counts are in bins of {told['bin_width_s']} s, and ONEJOB_BIN_WIDTH_S is "
            f"{settings.bin_width_s}: set it to {told['bin_width_s']}."
        )
    revisions = known_revisions()
    for place in told["places"]:
        is_newer = place["telemetry"]["schema"] > newest_schema() or place["state"]["revision"] not in revisions
        if is_newer:
            raise BadBackup(
                f"The backup was made by a newer onejob ({told['onejob']}): restore it with that release, or a later."
            )
    _refuse_unknown_members(manifest)


def _refuse_unknown_members(manifest: Manifest) -> None:
    """Its names become names of tables and files."""
    known = {KEY_FILE}
    for place in manifest.facts["places"]:
        known |= {f"{place['name']}/{SPOOL}"}
        for table in place["state"]["tables"]:
            known |= {f"{place['name']}/state/{table['name']}"}
        for table in place["telemetry"]["tables"]:
            if made_names().get(table["name"]):
                known |= {f"{place['name']}/telemetry/{table['name']}"}
        if place["name"] != DEFAULT:
            raise BadBackup(f"The backup has a project {place['name']}, which this release does not know.")
    for name in manifest.checksums:
        if name not in known and name.rpartition("/")[0] not in known:
            raise BadBackup(f"The backup has {name}, which this release does not know: restore it with its own.")

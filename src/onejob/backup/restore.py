"""A backup as a server's data directory and databases again, on the engines that the settings name.

The file is read twice: every byte is checked before anything is made. From then on until everything is in its place,
what is being filled is marked (`target`, `store.restoring`, `state.restoring`), and no server starts on it. Whoever
restores again begins anew; only the last of it, when all is there and the marks are taken off, is finished instead:

    check -> mark -> fill -> "whole" -> unmark databases -> unmark the data directory
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from onejob.backup.archive import Content, Manifest, check, contents
from onejob.backup.errors import BackupError, BadBackup
from onejob.backup.facts import FactsBack
from onejob.backup.sites import Site, Sites
from onejob.backup.snapshot import SPOOL
from onejob.backup.target import taken
from onejob.backup.telemetry import TelemetryBack
from onejob.config import Settings
from onejob.ingest.spool_file import tell_restored
from onejob.model.project import DEFAULT_PROJECT, PROJECT_NAME
from onejob.state import restoring as state_restoring
from onejob.state.database import known_revisions
from onejob.store.hash_key import KEY_FILE
from onejob.store.migrate import made_names, newest_schema


def restore(file: IO[bytes], settings: Settings) -> Manifest:
    """What `file` is of. Raises BackupError, StoreError, StateError; then the data directory is empty as before."""
    manifest = check(file)
    _refuse_what_does_not_fit(manifest, settings)
    with taken(settings.data_dir.resolve()) as mark, Sites(settings) as sites:
        if not mark.is_whole():
            _fill(file, manifest, settings, sites)
            mark.whole()
        for place in manifest.facts["places"]:
            sites.of(place["name"]).unmark()
    return manifest


class _Filling:
    """A project as it comes out of the archive."""

    def __init__(self, site: Site, told: dict[str, Any]) -> None:
        self.site = site
        state_restoring.begin(site.database)
        self._facts = FactsBack(site.database, told["state"])
        self._facts.begin()
        self._telemetry = TelemetryBack(site.engine, site.settings, told["telemetry"])
        self._telemetry.begin()

    def add(self, rest: str, content: Content) -> None:
        """A member, by its name below the project's."""
        if rest == SPOOL:
            _put(content, self.site.spool)
            return
        what, table, _ = rest.split("/")
        (self._facts if what == "state" else self._telemetry).add(table, content.read())

    def end(self) -> None:
        """All of it was added."""
        tell_restored(self.site.spool)
        self._facts.end()
        self._telemetry.end()


def _fill(file: IO[bytes], manifest: Manifest, settings: Settings, sites: Sites) -> None:
    """One project after the other: `default` is the first, and lists the others."""
    told = {place["name"]: place for place in manifest.facts["places"]}
    filling: _Filling | None = None
    for member, content in contents(file, manifest):
        if member == KEY_FILE:
            _put(content, settings.data_dir / KEY_FILE)
            continue
        name, _, rest = member.partition("/")
        if filling is None or filling.site.name != name:
            if filling is not None:
                filling.end()
            filling = _Filling(sites.of(name), told[name])
        filling.add(rest, content)
    if filling is not None:
        filling.end()


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
    known, made = {KEY_FILE}, made_names()
    for number, place in enumerate(manifest.facts["places"]):
        if (place["name"] == DEFAULT_PROJECT) != (number == 0) or not PROJECT_NAME.fullmatch(place["name"]):
            raise BadBackup("This is no backup of onejob: its projects are none.")
        known |= {f"{place['name']}/{SPOOL}"}
        for table in place["state"]["tables"]:
            known |= {f"{place['name']}/state/{table['name']}"}
        for table in place["telemetry"]["tables"]:
            if made.get(table["name"]):
                known |= {f"{place['name']}/telemetry/{table['name']}"}
    for name in manifest.checksums:
        if name not in known and name.rpartition("/")[0] not in known:
            raise BadBackup(f"The backup has {name}, which this release does not know: restore it with its own.")

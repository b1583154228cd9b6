"""Which project telemetry is for. Whoever takes some in must ask here first, and is given the door that it then uses.

An ingest token is for one project. What comes without one is for `default`, if the server takes it at all. What comes
with one that is no good (any more) is for nobody: it is refused also where none is needed, for whoever made it wanted
it elsewhere. Pages whose site is known for a token only need that token. A project whose tokens are good may still be
opened, or be opened anew: then clients are told to come back, and lose nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from onejob.ingest.browsers import is_of_this_machine
from onejob.ingest.counters import Counters
from onejob.ingest.door import Door
from onejob.ingest.errors import TryLater, Unauthenticated
from onejob.model.project import DEFAULT_PROJECT

REFUSAL = (
    "This server takes telemetry with an ingest token only: make one with `onejob token create --ingest`, and send it "
    "as the header `authorization: Bearer onejob_ingest_...`."
)
UNUSABLE = (
    "This token cannot send telemetry here: it ended, was revoked, or is for other pages or another use. Make one with "
    "`onejob token create --ingest`; what comes without a token is for the project `default`."
)


class Gate(Protocol):
    """Knows the tokens that may send telemetry."""

    def has_token(self, authorization: str) -> bool:
        """Whether this header has a token of onejob's in it, good or not."""

    def admits(self, authorization: str, origin: str | None) -> str | None:
        """The project that its token is for; None where it may not, from a page of that origin if there is one."""

    def welcomes(self, origin: str) -> bool:
        """Whether pages of that origin may at all, with the right token."""


class Doors:
    """Thread-safe. Without a `gate` nobody has tokens. `origins` are sites whose pages need none.

    `max_request_bytes` counts after decompression; `counters` has those who were refused before it was known where to.
    """

    def __init__(
        self,
        max_request_bytes: int,
        counters: Counters,
        gate: Gate | None = None,
        *,
        needs_token: bool = False,
        origins: Collection[str] = (),
    ) -> None:
        self.max_request_bytes = max_request_bytes
        self._counters = counters
        self._gate = gate
        self._needs_token = needs_token
        self._origins = frozenset(origins)
        self._open: dict[str, Door] = {}

    def open(self, project: str, door: Door) -> None:
        """From now on it is taken from whoever may send to the project."""
        self._open[project] = door

    def close(self, project: str) -> None:
        """Whoever asks from now on is to come back later; who was let in before may still be at it."""
        self._open.pop(project, None)

    def of(self, project: str) -> Door | None:
        """For what this server fetches itself."""
        return self._open.get(project)

    def admit(self, authorization: str, origin: str | None = None) -> Door:
        """Before anything of a request is read. Raises Unauthenticated; and TryLater while the project is not open."""
        is_with_token = self._gate is not None and self._gate.has_token(authorization)
        if self._gate is not None and (is_with_token or self._needs_token):
            project = self._gate.admits(authorization, origin)
        else:
            project = DEFAULT_PROJECT if origin is None or self._takes_pages_of(origin) else None
        if project is None:
            self._counters.count_refused(Unauthenticated.__name__)
            raise Unauthenticated(REFUSAL if self._needs_token or not is_with_token else UNUSABLE)
        door = self._open.get(project)
        if door is None:
            self._counters.count_refused(TryLater.__name__)
            raise TryLater(f"The project {project} takes nothing now.", retry_after_s=5, is_overload=False)
        return door

    def welcomes(self, origin: str) -> bool:
        """Whether pages of that origin may read what they are answered."""
        return self._takes_pages_of(origin) or (self._gate is not None and self._gate.welcomes(origin))

    def _takes_pages_of(self, origin: str) -> bool:
        return origin in self._origins or is_of_this_machine(origin)

"""Which ingest tokens the doors for telemetry let in, and to which project.

Problem: a door that asks the database about every request is slow, and a flood of wrong tokens would be a flood of
queries. Solution: all usable tokens are known by heart, and learnt anew every few seconds in a thread of its own; what
is asked at the door is a dictionary. A token that was revoked is refused at once here, within `EVERY_S` elsewhere.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

from onejob.access.secrets import hash_of, token_kind
from onejob.model.access import Token, TokenKind
from onejob.seldom import Seldom
from onejob.state.errors import StateError
from onejob.state.tokens import Tokens

EVERY_S = 5.0
_MARK = "onejob_"
_log = logging.getLogger(__name__)


class IngestGate:
    """Thread-safe. Knows nothing, and so lets nobody in, until `start` or `refresh`."""

    def __init__(self, tokens: Tokens, clock: Callable[[], datetime]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._seldom = Seldom(_log)
        self._known: Mapping[str, Token] = {}
        self._used: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest-tokens", daemon=True)

    def start(self) -> None:
        """Learn the tokens, and go on learning."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """With the last uses written down."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Learn the tokens now. While the database does not answer, those known before stay known."""
        now = self._clock()
        try:
            self._known = {token.hash: token for token in self._tokens.usable(TokenKind.INGEST, now)}
            used, self._used = self._used, set()
            if used:
                self._tokens.used(used, now)
        except StateError as error:
            self._seldom.warning("tokens", "ingest tokens are as they were: %s", error)

    def has_token(self, authorization: str) -> bool:
        """Whether a token of ours is meant, however wrong it is."""
        return _MARK in authorization

    def admits(self, authorization: str, origin: str | None) -> str | None:
        """The project that `Bearer onejob_ingest_...` may send telemetry to; from a page (`origin`), if it is for that
        site. None where it may not.
        """
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or token_kind(text.strip()) is not TokenKind.INGEST:
            return None
        token = self._known.get(hash_of(text.strip()))
        if token is None or token.expires_at <= self._clock():
            return None
        if origin is not None and origin.lower() not in token.origins:
            return None
        self._used.add(token.id)
        return token.project

    def welcomes(self, origin: str) -> bool:
        """Whether any token is for the pages of this site: a browser asks that before it sends one."""
        return any(origin.lower() in token.origins for token in self._known.values())

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            self.refresh()
        self.refresh()

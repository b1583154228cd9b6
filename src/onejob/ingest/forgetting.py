"""Deletion by customer: everything that was stored with one attribute value, wherever it is.

What waits in the spool is stored first, so that nothing comes after the deletion that was there before it. Requests
that the engine refused are kept as they were sent, many customers in one: those that name the value go as a whole.

Judges and others look at telemetry meanwhile, and keep what they found when they are done:

    rows are gone -> nothing older is kept -> facts forget -> nothing older is kept -> what is made of facts, again

Facts forget once more before: it is the rows that tell whose a trace is, and who asks again, because a deletion broke
off, must not find facts about traces of nobody.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from onejob.ingest.errors import TryLater
from onejob.state.blanking import Names
from onejob.state.complaints import Complaints
from onejob.state.database import Database
from onejob.state.errors import StateUnavailableError
from onejob.state.forgetting import (
    Theirs,
    forget_backtests,
    forget_examples,
    forget_explained,
    forget_in_complaints,
    forget_quoted,
    forget_templates,
    forget_verdicts,
    traces_told,
)
from onejob.state.forgetting_evidence import evidence_traces, forget_evidence
from onejob.state.forgotten import nothing_older
from onejob.store.engine import Engine
from onejob.store.expressions import MAX_NAME_CHARS
from onejob.store.forgetting import forget_rows, traces_of
from onejob.store.redaction import hashed

log = logging.getLogger(__name__)

DELETE_TIMEOUT_S = 3600.0
_SETTLE_S = 60.0


class SpoolControl(Protocol):
    """What of the intake this needs."""

    def settle(self, timeout_s: float) -> bool:
        """Wait until what is in the spool now is stored; False if that takes longer."""

    def forget_dead_letters(self, attribute: str, value: str) -> int:
        """Delete those that name it; how many."""

    def wipe(self) -> bool:
        """Leave nothing on disk of what was deleted; False if that cannot be now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What is gone. `verdicts` are those that showed something of the customer's as new; their counts forget it too.

    `is_complete` is False when what waits in the spool could not be stored first, or what was deleted is on disk in the
    files of spool or facts still: ask again then."""

    spans: int
    logs: int
    data_points: int
    dead_letters: int
    explanations: int
    verdicts: int
    backtests: int
    error_examples: int
    log_templates: int
    customer_counts: int
    complaints: int
    mentions: int
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """How many forgot something, of each kind; `explanations` by their deployments."""

    explanations: frozenset[str] = frozenset()
    verdicts: int = 0
    backtests: int = 0
    error_examples: int = 0
    log_templates: int = 0
    mentions: int = 0

    def with_(self, other: _Facts) -> _Facts:
        """Of both. Somebody at work may have kept again what was forgotten: it counts once."""
        return _Facts(
            explanations=self.explanations | other.explanations,
            verdicts=max(self.verdicts, other.verdicts),
            backtests=max(self.backtests, other.backtests),
            error_examples=max(self.error_examples, other.error_examples),
            log_templates=max(self.log_templates, other.log_templates),
            mentions=max(self.mentions, other.mentions),
        )


def forget(
    engine: Engine,
    database: Database,
    intake: SpoolControl | None,
    attribute: str,
    value: str,
    *,
    customer_attributes: Collection[str],
    actor: str,
    key: str,
    blank_templates: Callable[[bytes, Names], bytes | None],
) -> Forgotten:
    """Delete all that has `attribute` = `value`. `key` is that of the hashes, in hex. Raises StoreError.

    `customer_attributes` name customers: what is kept of a customer goes if the attribute is one of them.
    `blank_templates` is `known.templates.blanked`.
    """
    is_customer = attribute in customer_attributes
    is_complete = intake is None or intake.settle(_SETTLE_S)
    values = (value, hashed(key, value))  # what a rule of redaction may have stored in its place
    with traces_of(engine, attribute, values) as theirs_of:

        def theirs() -> Theirs:
            return Theirs(attribute, values, theirs_of(sorted(traces_told(database) | evidence_traces(database))))

        first = _forget_facts(database, theirs(), blank_templates)
        rows = forget_rows(engine, attribute, values, DELETE_TIMEOUT_S, is_customer=is_customer)
        nothing_older(database, datetime.now(UTC))
        facts = first.with_(_forget_facts(database, theirs(), blank_templates))
    forgotten = Forgotten(
        spans=rows.pop("otel_traces"),
        logs=rows.pop("otel_logs"),
        customer_counts=rows.pop("customer_rollup", 0),
        data_points=sum(rows.values()),
        dead_letters=intake.forget_dead_letters(attribute, value) if intake else 0,
        explanations=len(facts.explanations),
        verdicts=facts.verdicts,
        backtests=facts.backtests,
        error_examples=facts.error_examples,
        log_templates=facts.log_templates,
        complaints=Complaints(database).forget({one[:MAX_NAME_CHARS] for one in values}) if is_customer else 0,
        mentions=facts.mentions,
        is_complete=is_complete and _wipe(database, intake),
    )
    # Without the value: a log outlives what it is about.
    what = hashlib.blake2b(value.encode(), key=bytes.fromhex(key), digest_size=8).hexdigest()
    log.warning("audit: %s had %s = [hash:%s] forgotten: %s", actor, attribute, what, forgotten)
    return forgotten


def _forget_facts(database: Database, theirs: Theirs, blank: Callable[[bytes, Names], bytes | None]) -> _Facts:
    of_counts = forget_evidence(database, theirs)
    said = forget_explained(database, theirs)
    first = _forget_made(database, theirs, blank)
    nothing_older(database, datetime.now(UTC))
    forget_quoted(database, said)
    told = _Facts(
        explanations=frozenset(said),
        verdicts=of_counts,
        backtests=forget_backtests(database, theirs),
        mentions=forget_in_complaints(database, theirs),
    )
    return told.with_(first).with_(_forget_made(database, theirs, blank))


def _wipe(database: Database, intake: SpoolControl | None) -> bool:
    """Whether it could be. What is deleted is deleted, whatever comes of this."""
    try:
        is_spool_wiped = intake is None or intake.wipe()
        return database.wipe() and is_spool_wiped
    except (TryLater, StateUnavailableError) as error:
        log.warning("what was forgotten could not be wiped from all files: %s", error)
        return False


def _forget_made(database: Database, theirs: Theirs, blank: Callable[[bytes, Names], bytes | None]) -> _Facts:
    """What is made of other facts, which somebody at work may have read before."""
    return _Facts(
        verdicts=forget_verdicts(database, theirs),
        error_examples=forget_examples(database, theirs),
        log_templates=forget_templates(database, theirs, blank),
    )

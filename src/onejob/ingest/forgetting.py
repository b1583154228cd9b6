"""Deletion by customer: everything that was stored with one attribute value, wherever it is.

What waits in the spool is stored first, so that nothing comes after the deletion that was there before it. Requests
that the engine refused are kept as they were sent, many customers in one: those that name the value go as a whole.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from onejob.state.blanking import Names
from onejob.state.complaints import Complaints
from onejob.state.database import Database
from onejob.state.forgetting import (
    Theirs,
    forget_backtests,
    forget_examples,
    forget_explained,
    forget_in_complaints,
    forget_templates,
    forget_verdicts,
    traces_told,
)
from onejob.state.forgetting_evidence import evidence_traces, forget_evidence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What is gone. `verdicts` are those that showed something of the customer's as new; their counts forget it too.

    `is_complete` is False when what waits in the spool could not be stored first: ask again then."""

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
    # Before their rows go, which tell whose they are.
    among = sorted(traces_told(database) | evidence_traces(database))
    theirs = Theirs(attribute, values, traces_of(engine, attribute, values, among, DELETE_TIMEOUT_S))
    rows = forget_rows(engine, attribute, values, DELETE_TIMEOUT_S, is_customer=is_customer)
    # In this order: a verdict is what its counts and its explanation give.
    told = forget_explained(database, theirs)
    shown = forget_verdicts(database, theirs)
    of_counts = forget_evidence(database, theirs, datetime.now(UTC))
    forgotten = Forgotten(
        spans=rows.pop("otel_traces"),
        logs=rows.pop("otel_logs"),
        customer_counts=rows.pop("customer_rollup", 0),
        data_points=sum(rows.values()),
        dead_letters=intake.forget_dead_letters(attribute, value) if intake else 0,
        explanations=told,
        verdicts=max(shown, of_counts),
        backtests=forget_backtests(database, theirs),
        error_examples=forget_examples(database, theirs),
        log_templates=forget_templates(database, theirs, blank_templates),
        complaints=Complaints(database).forget({one[:MAX_NAME_CHARS] for one in values}) if is_customer else 0,
        mentions=forget_in_complaints(database, theirs),
        is_complete=is_complete,
    )
    # Without the value: a log outlives what it is about.
    what = hashlib.blake2b(value.encode(), key=bytes.fromhex(key), digest_size=8).hexdigest()
    log.warning("audit: %s had %s = [hash:%s] forgotten: %s", actor, attribute, what, forgotten)
    return forgotten

"""Takes a customer's texts out of the counts that verdicts are computed from: stacks and lines of what was new.

Everything else in them is numbers, and names of operations, versions and instances. A judge that is at work keeps what
it has consumed in memory: `forgotten` tells it to read again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select, tuple_, update

from onejob.state.database import Database
from onejob.state.forgetting import Theirs
from onejob.state.tables import evidence

_AT_ONCE = 100  # batches
_NOVELTIES = b'"novelties":['
_KEY = (evidence.c.deployment_id, evidence.c.seq)
Row = tuple[str, int]


def evidence_traces(database: Database) -> set[str]:
    """The traces that something new was seen in."""
    found = {cell["trace_id"] for _, document in _with_novelties(database) for cell in document["novelties"]}
    return found - {""}


def forget_evidence(database: Database, theirs: Theirs) -> int:
    """Of how many deployments the counts showed an example of the customer's."""
    changed: set[str] = set()
    for (deployment_id, seq), document in _with_novelties(database):
        left = [cell | theirs.forget_example(cell) for cell in document["novelties"]]
        if left == document["novelties"]:
            continue
        packed = zlib.compress(json.dumps(document | {"novelties": left}, separators=(",", ":")).encode())
        chosen = (_KEY[0] == deployment_id, _KEY[1] == seq)
        with database.write() as connection:
            connection.execute(update(evidence).where(*chosen).values(counts=packed))
        changed.add(deployment_id)
    return len(changed)


def _with_novelties(database: Database) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Batches that saw something new, by their keys; few are looked into."""
    query, after = select(*_KEY, evidence.c.counts).order_by(*_KEY).limit(_AT_ONCE), ("", -1)
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(tuple_(*_KEY) > after)).all()
        if not rows:
            return
        for deployment_id, seq, counts in rows:
            document = zlib.decompress(counts)
            if _NOVELTIES in document:
                yield (deployment_id, seq), json.loads(document)
        after = (rows[-1][0], rows[-1][1])

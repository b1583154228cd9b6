"""Takes an attribute's value out of what was told: explanations, sentences that quote them, and examples of errors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, select, update

from onejob.model.explanation import AttributeValue, Explanation
from onejob.model.verdict import Verdict
from onejob.state.codec import pack, unpack
from onejob.state.database import Database
from onejob.state.tables import explanations, known_errors, verdict_changes, verdicts

FORGOTTEN = "[forgotten]"
_AND = " & "  # between attributes that were found together


def forget_explained(database: Database, attribute: str, values: Collection[str]) -> int:
    """How many explanations named one of the values."""
    changed = 0
    with database.write() as connection:
        for deployment_id, packed in connection.execute(
            select(explanations.c.deployment_id, explanations.c.document)
        ).all():
            explanation = unpack(Explanation, packed)
            kept = tuple(a for a in explanation.attributes if not _names(a, attribute, values))
            if len(kept) == len(explanation.attributes):
                continue
            document = pack(replace(explanation, attributes=kept))
            chosen = explanations.c.deployment_id == deployment_id
            connection.execute(update(explanations).where(chosen).values(document=document))
            _unsay(connection, deployment_id, values)
            changed += 1
    return changed


def example_traces(database: Database) -> list[str]:
    """The traces that known errors have as their example."""
    query = select(known_errors.c.trace_id).where(known_errors.c.trace_id != "").distinct()
    with database.read() as connection:
        return sorted(connection.execute(query).scalars())


def forget_examples(database: Database, values: Collection[str], traces: Collection[str]) -> int:
    """Errors whose example is one of the traces or names a value lose it: they stay known. How many."""
    columns = known_errors.c
    texts = (columns.title, columns.message, columns.sample)
    changed = 0
    with database.write() as connection:
        for number, trace, *said in connection.execute(select(columns.id, columns.trace_id, *texts)).all():
            if trace in traces or any(value and value in text for value in values for text in said):
                gone = {"title": _without(said[0], values), "message": "", "sample": FORGOTTEN}
                gone |= {"trace_id": "", "span_id": ""}
                connection.execute(update(known_errors).where(columns.id == number).values(gone))
                changed += 1
    return changed


def _names(found: AttributeValue, attribute: str, values: Collection[str]) -> bool:
    pairs = zip(found.name.split(_AND), found.value.split(_AND), strict=False)
    return any(name == attribute and value in values for name, value in pairs)


def _unsay(connection: Connection, deployment_id: str, values: Collection[str]) -> None:
    """In the verdict's sentence, and in those it had before."""
    chosen = verdicts.c.deployment_id == deployment_id
    for document, short in connection.execute(select(verdicts.c.document, verdicts.c.summary).where(chosen)).all():
        whole, summary = (unpack(Verdict, packed) for packed in (document, short))
        said = {
            "document": pack(replace(whole, sentence=_without(whole.sentence, values))),
            "summary": pack(replace(summary, sentence=_without(summary.sentence, values))),
        }
        connection.execute(update(verdicts).where(chosen).values(said))
    rows = select(verdict_changes.c.id, verdict_changes.c.sentence).where(
        verdict_changes.c.deployment_id == deployment_id
    )
    for number, sentence in connection.execute(rows).all():
        said_before = update(verdict_changes).where(verdict_changes.c.id == number)
        connection.execute(said_before.values(sentence=_without(sentence, values)))


def _without(sentence: str, values: Collection[str]) -> str:
    for value in filter(None, values):
        sentence = sentence.replace(value, FORGOTTEN)
    return sentence

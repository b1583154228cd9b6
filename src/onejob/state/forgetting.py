"""Takes a customer out of what was told: explanations, sentences that quote them, backtests, and examples of errors.

What verdicts are computed from is `forgetting_evidence`'s. Both change a text alike, so that a verdict that is computed
again from its counts is the one that is stored.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Column, Connection, RowMapping, Table, select, update

from onejob.model.explanation import AttributeValue, Explanation
from onejob.model.rollout import Rollout
from onejob.model.verdict import Verdict
from onejob.state.blanking import FORGOTTEN, Names
from onejob.state.codec import from_plain, pack, unpack
from onejob.state.database import Database
from onejob.state.tables import (
    backtests,
    complaints,
    deployments,
    explanations,
    known_errors,
    log_templates,
    rollouts,
    verdict_changes,
    verdicts,
)
from onejob.state.verdicts import summary

_AND = " & "  # between attributes that were found together
_AT_ONCE = 50  # documents
_ERROR = "error"
_NOVELTY = b'"novelty":{'
Said = Mapping[str, Mapping[str, str]]  # by deployment, phrases and what became of them


@dataclass(frozen=True, slots=True)
class Theirs:
    """What is of the customer: an attribute has one of the `values`, and `traces` are those with such a span or log."""

    attribute: str
    values: Collection[str]
    traces: Collection[str] = ()
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", Names(self.values))

    def forget_example(self, found: Mapping[Any, Any]) -> dict[str, Any]:
        """What becomes of the texts of something new: `kind`, `title`, `sample` and `trace_id`.

        A stack is not computed with, and goes if it is of one of their traces. A line stays: it is the message.
        """
        is_theirs = found["trace_id"] in self.traces
        sample = self.names.blank(found["sample"])
        return {
            "title": self.names.blank(found["title"]),
            "sample": FORGOTTEN if is_theirs and sample and found["kind"] == _ERROR else sample,
            "trace_id": "" if is_theirs else found["trace_id"],
        }


def traces_told(database: Database) -> set[str]:
    """The traces that known errors, explanations and backtests have as examples."""
    query = select(known_errors.c.trace_id).where(known_errors.c.trace_id != "").distinct()
    with database.read() as connection:
        found = set(connection.execute(query).scalars())
    for _, packed in _pages(database, explanations, explanations.c.deployment_id):
        found |= {trace.trace_id for trace in unpack(Explanation, packed["document"]).traces}
    for _, packed in _pages(database, backtests, backtests.c.id):
        report = json.loads(zlib.decompress(packed["document"]))
        new = (signal.get("novelty") for one in report["deployments"] for signal in one["verdict"]["signals"])
        found |= {novelty["trace_id"] for novelty in new if novelty}
    return found - {""}


def forget_explained(database: Database, theirs: Theirs) -> Said:
    """Explanations that named one of the values, or showed one of the traces: what became of what sentences quote."""
    changed: dict[str, dict[str, str]] = {}
    for deployment_id, packed in _pages(database, explanations, explanations.c.deployment_id):
        before = unpack(Explanation, packed["document"])
        attributes = tuple(_forgotten(a, theirs) for a in before.attributes)
        traces = tuple(trace for trace in before.traces if trace.trace_id not in theirs.traces)
        after = replace(before, attributes=attributes, traces=traces)
        if after == before:
            continue
        said = {_phrase(old): _phrase(new) for old, new in zip(before.attributes, attributes, strict=True)}
        with database.write() as connection:
            chosen = explanations.c.deployment_id == deployment_id
            connection.execute(update(explanations).where(chosen).values(document=pack(after)))
            _say(connection, deployment_id, said)
        changed[deployment_id] = said
    return changed


def forget_quoted(database: Database, changed: Said) -> None:
    """Once more in all that quotes explanations, for who had read one before it was changed, and quoted it after."""
    for deployment_id, said in changed.items():
        with database.write() as connection:
            _say(connection, deployment_id, said)


def forget_verdicts(database: Database, theirs: Theirs) -> int:
    """How many verdicts showed an example of the customer's, as new in their version."""
    changed = 0
    for deployment_id, packed in _pages(database, verdicts, verdicts.c.deployment_id):
        document = zlib.decompress(packed["document"])
        plain = json.loads(document) if _NOVELTY in document else None
        said = _forget_in(plain, theirs) if plain else {}
        if not said:
            continue
        verdict = from_plain(Verdict, plain)
        with database.write() as connection:
            chosen = verdicts.c.deployment_id == deployment_id
            values = {"document": pack(verdict), "summary": pack(summary(verdict))}
            connection.execute(update(verdicts).where(chosen).values(values))
            _say(connection, deployment_id, said)
        changed += 1
    return changed


def forget_backtests(database: Database, theirs: Theirs) -> int:
    """How many reports showed such an example."""
    changed = 0
    for report_id, packed in _pages(database, backtests, backtests.c.id):
        plain = json.loads(zlib.decompress(packed["document"]))
        said = [_forget_in(one["verdict"], theirs) for one in plain["deployments"]]
        if any(said):
            with database.write() as connection:
                chosen = backtests.c.id == report_id
                connection.execute(update(backtests).where(chosen).values(document=_packed(plain)))
            changed += 1
    return changed


def forget_examples(database: Database, theirs: Theirs) -> int:
    """Errors whose example is one of the traces or names a value forget it, and stay known. How many."""
    changed = 0
    for error_id, row in _pages(database, known_errors, known_errors.c.id):
        is_theirs = row["trace_id"] in theirs.traces
        left = theirs.forget_example(row)
        left["message"] = "" if is_theirs else theirs.names.blank(row["message"])
        left["span_id"] = "" if is_theirs else row["span_id"]
        if any(row[name] != text for name, text in left.items()):
            with database.write() as connection:
                connection.execute(update(known_errors).where(known_errors.c.id == error_id).values(left))
            changed += 1
    return changed


def forget_in_complaints(database: Database, theirs: Theirs) -> int:
    """Complaints of others that mention a value lose it. How many."""
    texts = [complaints.c[name] for name in ("summary", "reference")]
    mention = [text.contains(value, autoescape=True) for text in texts for value in theirs.values if value]
    changed = 0
    with database.write() as connection:
        for condition in mention:
            for row in connection.execute(select(complaints.c.id, *texts).where(condition)).mappings().all():
                said = {text.name: theirs.names.forget(row[text.name]) for text in texts}
                if any(said[name] != row[name] for name in said):
                    connection.execute(update(complaints).where(complaints.c.id == row["id"]).values(said))
                    changed += 1
    return changed


def forget_templates(database: Database, theirs: Theirs, blank: Callable[[bytes, Names], bytes | None]) -> int:
    """`blank` is the reader's, who alone understands what is stored; None: nothing to do. Of how many services."""
    here, changed = (log_templates.c.service, log_templates.c.environment), 0
    with database.read() as connection:
        places = connection.execute(select(*here)).all()
    for service, environment in places:
        chosen = (here[0] == service, here[1] == environment)
        with database.write() as connection:
            document = connection.execute(select(log_templates.c.document).where(*chosen)).scalar_one_or_none()
            blanked = None if document is None else blank(document, theirs.names)
            if blanked is not None:
                connection.execute(update(log_templates).where(*chosen).values(document=blanked))
                changed += 1
    return changed


def _pages(database: Database, table: Table, key: Column[str]) -> Iterator[tuple[str, RowMapping]]:
    """All rows by their key, some at a time."""
    query, after = select(table).order_by(key).limit(_AT_ONCE), ""
    while True:
        with database.read() as connection:
            rows = connection.execute(query.where(key > after)).mappings().all()
        if not rows:
            return
        yield from ((row[key.name], row) for row in rows)
        after = rows[-1][key.name]


def _forgotten(found: AttributeValue, theirs: Theirs) -> AttributeValue:
    names, values = found.name.split(_AND), found.value.split(_AND)
    if len(names) != len(values):
        return found
    is_one = theirs.attribute, theirs.values
    left = [FORGOTTEN if n == is_one[0] and v in is_one[1] else v for n, v in zip(names, values, strict=True)]
    return replace(found, value=_AND.join(left))


def _phrase(found: AttributeValue) -> str:
    """As `verdict/report.py` says it."""
    return f" for {found.name} = {found.value}"


def _forget_in(verdict: dict[str, Any], theirs: Theirs) -> dict[str, str]:
    """Changes a document; which titles became which, themselves included where only the rest changed."""
    said = {}
    for signal in verdict["signals"]:
        novelty = signal.get("novelty")
        left = theirs.forget_example(novelty) if novelty else {}
        if any(novelty[name] != text for name, text in left.items()):
            said[novelty["title"]] = left["title"]
            if signal["operation"] == novelty["title"]:
                signal["operation"] = left["title"]
            novelty |= left
    if said:  # as `verdict/judge.py` has them: by name where nothing else tells which is worse
        alike = groupby(verdict["signals"], key=lambda one: (one["exploratory"], one["state"], one["log_evidence"]))
        verdict["signals"] = [
            one for _, some in alike for one in sorted(some, key=lambda one: (one["operation"], one["signal"]))
        ]
    verdict["sentence"] = _reworded(verdict["sentence"], said)
    return said


def _say(connection: Connection, deployment_id: str, said: Mapping[str, str]) -> None:
    """In the sentence of the verdict, in those before, and where rollouts or notes of later deployments quote them."""
    chosen = verdicts.c.deployment_id == deployment_id
    for packed in connection.execute(select(verdicts.c.document, verdicts.c.summary).where(chosen)).mappings().all():
        plain = {name: json.loads(zlib.decompress(document)) for name, document in packed.items()}
        for one in plain.values():
            one["sentence"] = _reworded(one["sentence"], said)
        connection.execute(update(verdicts).where(chosen).values({name: _packed(one) for name, one in plain.items()}))
    changes = verdict_changes.c
    rows = select(changes.id, changes.sentence).where(changes.deployment_id == deployment_id)
    for number, sentence in connection.execute(rows).all():
        said_before = update(verdict_changes).where(changes.id == number)
        connection.execute(said_before.values(sentence=_reworded(sentence, said)))
    judged, other = deployments.alias(), deployments.alias()
    is_same = (judged.c.service == other.c.service) & (judged.c.environment == other.c.environment)
    of_service = select(other.c.id).join(judged, is_same).where(judged.c.id == deployment_id)
    noted = select(deployments.c.id, deployments.c.notes).where(deployments.c.id.in_(of_service))
    for other_id, notes in connection.execute(noted.where(deployments.c.notes != "[]")).all():
        left = json.dumps([_reworded(one, said) for one in json.loads(notes)])
        if left != notes:
            connection.execute(update(deployments).where(deployments.c.id == other_id).values(notes=left))
    moved = select(rollouts.c.id, rollouts.c.document).where(rollouts.c.deployment_id.in_(of_service))
    for rollout_id, packed in connection.execute(moved).all():
        rollout = unpack(Rollout, packed)
        transitions = tuple(replace(one, reason=_reworded(one.reason, said)) for one in rollout.transitions)
        if transitions != rollout.transitions:
            values = {"document": pack(replace(rollout, transitions=transitions))}
            connection.execute(update(rollouts).where(rollouts.c.id == rollout_id).values(values))


def _reworded(sentence: str, said: Mapping[str, str]) -> str:
    for old, new in said.items():
        sentence = sentence.replace(old, new) if old else sentence
    return sentence


def _packed(plain: object) -> bytes:
    return zlib.compress(json.dumps(plain, separators=(",", ":")).encode())

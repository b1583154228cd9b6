"""What is stored of verdicts forgets a customer, on both databases, and gives the same verdicts when computed again."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known.builders import an_occurrence, see
from onejob.known.templates import LogTemplates, blanked
from onejob.model.backtest import Backtest, BacktestedDeployment
from onejob.model.complaint import Told
from onejob.model.deployment import Deployment
from onejob.model.evidence import EvidenceBatch, NoveltyCell
from onejob.model.explanation import ExemplarTrace
from onejob.model.known_error import ErrorKind
from onejob.model.verdict import State, Verdict
from onejob.state.backtests import Backtests
from onejob.state.blanking import Names
from onejob.state.complaints import ComplaintFilter, Complaints
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.errors import ForgottenMeanwhileError
from onejob.state.evidence import Evidences
from onejob.state.forgetting import (
    FORGOTTEN,
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
from onejob.state.forgotten import AsOf, as_of, nothing_older, refuse_if_older
from onejob.state.known_errors import KnownErrors, Learnt
from onejob.state.readings import Reading, Readings
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts, summary
from onejob.verdict.recompute import explained, recompute
from onejob.verdict.templates import words_of

from .builders import (
    NOW,
    a_batch,
    a_cell,
    a_deployment,
    a_novelty_cell,
    a_rollout,
    a_signal,
    a_transition,
    a_verdict,
    an_attribute_value,
    an_explanation,
)

VALUES = ("Acme-77", "Ada Lovelace")
THEIRS = Theirs("enduser.id", VALUES, {"ab" * 16})
BINS = 60
START = int(NOW.timestamp()) // 10 * 10 + 10


def test_counts_and_verdict_forget_them_alike(state_database: Database) -> None:
    deployment = a_deployment()
    Deployments(state_database).add(deployment)
    for batch in batches(deployment):
        Evidences(state_database).append(batch)
    stored = again(state_database, deployment)
    new = [signal.novelty for signal in stored.signals if signal.novelty]
    assert any("Acme-77" in one.title for one in new)
    assert any("Ada Lovelace" in one.sample for one in new)
    sentence = f"checkout 2 is undecided; worth a look: new error {new[0].title} in 5 %"
    Verdicts(state_database).record(replace(stored, sentence=sentence))
    Verdicts(state_database).record(stored)
    assert evidence_traces(state_database) == {"ab" * 16, "cd" * 16}

    assert forget_verdicts(state_database, THEIRS) == 1
    assert forget_evidence(state_database, THEIRS) == 1

    kept = Verdicts(state_database).current(deployment.id)
    assert kept == again(state_database, deployment)
    assert not names_them(Evidences(state_database), Verdicts(state_database), deployment)
    shown = [signal.novelty for signal in kept.signals if signal.novelty]
    assert {one.sample for one in shown if one.kind == "error"} == {FORGOTTEN, "File x, in pay"}
    assert {one.trace_id for one in shown} == {"", "cd" * 16}
    assert any("████-00" in one.title for one in shown)
    assert numbers(kept) == numbers(stored)
    assert forget_verdicts(state_database, THEIRS) == forget_evidence(state_database, THEIRS) == 0


def batches(deployment: Deployment) -> list[EvidenceBatch]:
    """Both versions serve; the new one fails and logs for two customers, and the old one logs what is known."""
    return [
        a_batch(
            deployment.id,
            seq=number,
            bins_from=START + 10 * number,
            bins_to=START + 10 + 10 * number,
            cells=tuple(a_cell(version=v, instance=f"pod-{v}", bin_start=START + 10 * number, count=50) for v in "12"),
            novelties=tuple(novelties(START + 10 * number)),
        )
        for number in range(BINS)
    ]


def novelties(at: int) -> list[NoveltyCell]:
    def seen(kind: str, mark: str, title: str, sample: str, trace: str, version: str = "2") -> NoveltyCell:
        return a_novelty_cell(
            kind=kind,
            fingerprint=mark,
            title=title,
            sample=sample,
            trace_id=trace,
            version=version,
            bin_start=at,
            count=4,
        )

    lines = [
        "order of Ada Lovelace was lost in transit",
        "order of Bob Miller was lost in transit",
        "cart of Acme-77 kept",
    ]
    return [
        seen("error", "e1", "KeyError: Acme-77 in price", "File x, in price", "ab" * 16),
        seen("error", "e2", "ValueError in pay", "File x, in pay", "cd" * 16),
        *(seen("log_template", f"l{n}", line, line, "ab" * 16) for n, line in enumerate(lines)),
        seen("log_template", "l9", "cart of Acme-78 kept", "cart of Acme-78 kept", "", "1"),
    ]


def again(database: Database, deployment: Deployment) -> Verdict:
    found = recompute(deployment, Evidences(database).read(deployment.id), Explanations(database).get(deployment.id))
    assert found is not None
    return found


def names_them(evidences: Evidences, verdicts: Verdicts, deployment: Deployment) -> bool:
    verdict = verdicts.current(deployment.id)
    assert verdict is not None
    told = [str(verdict), str(summary(verdict)), str(list(evidences.read(deployment.id)))]
    told += [str(verdicts.history(deployment.id))]
    return any(value in text for value in VALUES for text in told)


def numbers(verdict: Verdict) -> list[tuple[Any, ...]]:
    return [(s.signal, s.effect, s.low, s.high, s.log_evidence, s.state) for s in verdict.signals]


def test_a_sentence_says_what_is_left_of_the_explanation(state_database: Database) -> None:
    deployment = a_deployment()
    Deployments(state_database).add(deployment)
    attributes = (
        an_attribute_value("enduser.id & region", "Acme-77 & eu"),
        an_attribute_value("region", "Acme-77"),
    )
    seen = {"arm": "treatment", "started_at": NOW, "duration_s": 1.0, "is_error": False, "spans": ()}
    traces = tuple(ExemplarTrace(trace_id=trace * 16, **seen) for trace in ("ab", "cd"))
    explanation = an_explanation(deployment.id, attributes=attributes, traces=traces)
    Explanations(state_database).save(explanation)
    bare = a_verdict(
        deployment.id,
        state=State.WORSE,
        reason=None,
        decided_at=NOW,
        signals=(a_signal(state=State.WORSE, signal="errors", family="errors"),),
    )
    verdict = explained(deployment, bare, explanation)
    assert "enduser.id & region = Acme-77 & eu" in verdict.sentence
    Verdicts(state_database).record(verdict)
    Rollouts(state_database).add(a_rollout(deployment.id, transitions=(a_transition(reason=verdict.sentence),)))
    again, told = a_deployment(version="3"), f"It was judged worse: {verdict.sentence}"
    Deployments(state_database).add(again)
    Deployments(state_database).note(again.id, told)
    Rollouts(state_database).add(a_rollout(again.id, transitions=(a_transition(reason=told),)))
    assert traces_told(state_database) == {"ab" * 16, "cd" * 16}

    said = forget_explained(state_database, THEIRS)
    assert list(said) == [deployment.id]

    kept = Explanations(state_database).get(deployment.id)
    assert kept is not None
    assert [one.value for one in kept.attributes] == ["[forgotten] & eu", "Acme-77"]
    assert [one.trace_id for one in kept.traces] == ["cd" * 16]
    assert Verdicts(state_database).current(deployment.id) == explained(deployment, bare, kept)
    rollouts, later = Rollouts(state_database).active(), Deployments(state_database).get(again.id)
    assert later is not None
    quoted = [Verdicts(state_database).history(deployment.id)[-1].sentence, *later.notes]
    quoted += [rollout.transitions[0].reason for rollout in rollouts]
    assert ["[forgotten] & eu" in text for text in quoted] == [True] * 4
    assert forget_explained(state_database, THEIRS) == {}

    Verdicts(state_database).record(verdict)  # by who had read the explanation before
    forget_quoted(state_database, said)
    assert Verdicts(state_database).current(deployment.id) == explained(deployment, bare, kept)


def a_report() -> Backtest:
    """Of a deployment that shows examples of theirs."""
    deployment = a_deployment()
    verdict = recompute(deployment, batches(deployment))
    assert verdict is not None
    one = BacktestedDeployment(deployment=deployment, verdict=verdict, decided_after_s=None, looks=1, saved=None)
    return Backtest(
        id="b1", made_at=NOW, since=NOW, until=NOW, source="here", services=("checkout",), deployments=(one,), notes=(),
        took_s=1.0, engine_version="1",
    )  # fmt: skip


def test_reports_of_backtests_forget_them(state_database: Database) -> None:
    Backtests(state_database).add(a_report())
    assert "ab" * 16 in traces_told(state_database)

    assert forget_backtests(state_database, THEIRS) == 1

    kept = str(Backtests(state_database).get("b1"))
    assert not [value for value in VALUES if value in kept]
    assert FORGOTTEN in kept
    assert forget_backtests(state_database, THEIRS) == 0


def test_a_known_message_stays_known_when_its_template_forgets_a_name(state_database: Database) -> None:
    templates = LogTemplates(100)
    lines = ["payment of Acme was declined by bank", "login of Ada Lovelace failed", "disk is nearly full now"]
    marks = [found.fingerprint for found in map(templates.learn, lines) if found]
    reading = Reading(name="errors", since=None, until=NOW, templates={("shop", "production"): templates.pack()})
    KnownErrors(state_database).learn(reading, (), lambda known: Learnt())
    theirs = Theirs("enduser.id", ("Acme", "Ada Lovelace"))

    assert forget_templates(state_database, theirs, blanked) == 1
    assert forget_templates(state_database, theirs, blanked) == 0

    packed = Readings(state_database).templates(("shop", "production"))
    assert packed is not None
    kept = LogTemplates(100, packed)
    others = ["payment of Globex was declined by bank", "login of Bob Miller failed", "disk is nearly full now"]
    found = [one for one in map(kept.learn, others) if one]
    assert [one.fingerprint for one in found] == marks
    assert [one.text for one in found] == [
        "payment of <*> was declined by bank", "login of <*> <*> failed", "disk is nearly full now",
    ]  # fmt: skip


def test_examples_and_what_others_complain_of_forget_them(state_database: Database) -> None:
    named = an_occurrence(fingerprint="named", trace_id="", title="no cart of Acme-77", sample="KeyError: Acme-77")
    theirs = an_occurrence(fingerprint="theirs", trace_id="ab" * 16)
    line = an_occurrence(
        fingerprint="line", kind=ErrorKind.LOG_TEMPLATE, trace_id="ab" * 16, sample="Acme-77 paid late"
    )
    other = an_occurrence(fingerprint="other", trace_id="ef" * 16, title="Acme-777 has no cart")
    see(state_database, named, theirs, line, other)
    complaints = Complaints(state_database)
    for number, said in enumerate(("Acme-77 told us: 100 % slow", "100 % slow", "acme_77% slow")):
        complaints.tell(
            Told(
                source="jira", external_id=str(number), reference=f"SUP-{number}", customer="globex",
                at=NOW - timedelta(seconds=number), summary=said, told_at=NOW,
            ),
            NOW,
        )  # fmt: skip

    assert forget_examples(state_database, THEIRS) == 3
    assert forget_examples(state_database, THEIRS) == 0
    assert forget_in_complaints(state_database, THEIRS) == 1

    errors = [KnownErrors(state_database).get(one.error_id) for one in (named, theirs, line, other)]
    assert [one and (one.title, one.message, one.sample, one.trace_id, one.span_id) for one in errors] == [
        ("no cart of ████-00", named.message, "KeyError: ████-00", "", named.span_id),
        (theirs.title, "", FORGOTTEN, "", ""),
        (line.title, "", "████-00 paid late", "", ""),
        (other.title, other.message, other.sample, other.trace_id, other.span_id),
    ]
    kept = [one.summary for one in complaints.page(ComplaintFilter()).items]
    assert kept == ["[forgotten] told us: 100 % slow", "100 % slow", "acme_77% slow"]


def test_nothing_is_kept_that_was_read_before_somebody_was_forgotten(state_database: Database) -> None:
    deployment = a_deployment()
    Deployments(state_database).add(deployment)
    batch, verdict = batches(deployment)[0], a_verdict(deployment.id)
    evidences, verdicts = Evidences(state_database), Verdicts(state_database)
    errors, reports, report = KnownErrors(state_database), Backtests(state_database), a_report()
    explanations, explanation = Explanations(state_database), an_explanation(deployment.id)
    place = ("shop", "production")

    def learn(read: AsOf) -> None:
        reading = Reading(name="errors", since=None, until=NOW, templates={place: b"x"}, read=read)
        errors.learn(reading, (), lambda known: Learnt())

    keeping: list[Callable[[AsOf], object]] = [
        lambda read: evidences.append(batch, read),
        lambda read: verdicts.record(verdict, read),
        lambda read: explanations.save(explanation, read),
        lambda read: reports.add(report, read),
        learn,
    ]
    for when in (NOW, NOW, NOW - timedelta(hours=1)):  # a clock may stand still, or be set back
        read = as_of(state_database)
        nothing_older(state_database, when)
        for keep in keeping:
            with pytest.raises(ForgottenMeanwhileError, match="read it again"):
                keep(read)
    assert (evidences.last_seq(deployment.id), verdicts.current(deployment.id)) == (None, None)
    assert (explanations.get(deployment.id), reports.latest()) == (None, None)
    assert Readings(state_database).templates(place) is None

    for keep in keeping:
        keep(as_of(state_database))
    assert Readings(state_database).templates(place) == b"x"


def test_who_forgets_waits_for_what_is_being_kept_and_sees_it(state_database: Database) -> None:
    waiting = threading.Thread(target=nothing_older, args=(state_database, NOW))
    with state_database.write() as connection:
        refuse_if_older(connection, AsOf(None))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join()
    assert as_of(state_database) == AsOf(NOW)


line = st.lists(
    st.sampled_from(["Acme-77", "Ada", "Lovelace", "paid", "7", "/a/b", "x.shop:80", "=", "acmeville"]), max_size=8
)


@given(line.map(" ".join), line.map(" ".join))
def test_a_blanked_line_has_the_words_it_had_but_for_the_names(one: str, other: str) -> None:
    names = Names(VALUES)
    before, after = words_of(one), words_of(names.blank(one))
    assert [word for word in after if "█" not in word] == [
        word for word, new in zip(before, after, strict=True) if "█" not in new
    ]
    assert (words_of(names.blank(other)) == after) == (words_of(other) == before)
    assert not names.are_in(names.blank(one))


def test_only_whole_words_are_names() -> None:
    names = Names(["acme", "4711", "", "--"])
    assert names.blank("acme, tenant_acme, acmeville 4711 14711 é--") == "████, tenant_████, acmeville 0000 14711 é--"
    assert names.blank_words(["of", "acme", "tenant_acme", "acmes"], "<*>") == ["of", "<*>", "<*>", "acmes"]
    assert json.loads(json.dumps(names.forget("by acme"))) == "by [forgotten]"

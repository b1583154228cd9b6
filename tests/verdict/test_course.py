"""Damage after a deployment is its doing only if it did not begin before; what went away by itself is said to have."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from onejob.model.deployment import Strategy
from onejob.model.evidence import (
    ControlCell,
    ControlService,
    EvidenceBatch,
    Expectations,
    JudgeSettings,
)
from onejob.model.verdict import Reason, State, Verdict
from onejob.state.codec import from_plain, to_plain
from onejob.state.counts import pack_counts, unpack_counts
from onejob.verdict.judge import Judge
from onejob.web.pages.sure import view
from verdict.hours import HOUR, LASTING, MINUTE, PER_MINUTE, RATE, Plan, errors, expectations, factor
from verdict.traffic import START, Scenario, a_cell, a_deployment, judged


def batches(plan: Plan, traffic: Plan, known: Expectations) -> Iterator[EvidenceBatch]:
    """A look every five minutes; `traffic` are requests a minute where they are not the usual ones."""
    for seq, minute in enumerate(range(-5, HOUR + 10, 5)):
        cells = []
        for now in range(max(0, minute), minute + 5):
            n = int(PER_MINUTE * factor(traffic, now))
            failed = np.arange(n) < errors(plan, now, n)
            cells.append(a_cell(np.full(n, 0.03), failed, version="2", bin_start=START + now * MINUTE))
        yield EvidenceBatch(
            deployment_id="dep_1",
            seq=seq,
            judged_at=datetime.fromtimestamp(START + (minute + 5) * MINUTE, UTC),
            bins_from=START + minute * MINUTE,
            bins_to=START + (minute + 5) * MINUTE,
            bin_width_s=MINUTE,
            cells=tuple(cells),
            settings=JudgeSettings() if seq == 0 else None,
            expectations=known if seq == 0 else None,
        )


def verdicts(plan: Plan, traffic: Plan | None = None, known: Expectations | None = None) -> list[Verdict]:
    judge = Judge(a_deployment(strategy=Strategy.ALL_AT_ONCE))
    return [judge.consume(batch) for batch in batches(plan, traffic or {}, known or expectations(plan))]


SERVICES = ("cart", "mail", "search")


def beside(known: Expectations) -> Expectations:
    """The same with services that the deployment did not touch, which no more than chance tells apart either."""
    signals = ("errors", "latency_p50", "latency_p95", "shortfall")
    controls = tuple(
        ControlService(service=name, version="7", edges={}, rates=dict.fromkeys(signals, (RATE,) * HOUR))
        for name in SERVICES
    )
    series = tuple(replace(one, scale_beside=one.scale, heights_beside=one.heights) for one in known.series)
    return replace(known, controls=controls, series=series)


def with_controls(plan: Plan, of_others: Mapping[str, Plan], version: str = "7") -> list[Verdict]:
    """As `verdicts`, beside three services of which some have a plan of their own; "mail" serves `version`."""
    judge = Judge(a_deployment(strategy=Strategy.ALL_AT_ONCE))
    found = []
    for batch in batches(plan, {}, beside(expectations(plan))):
        cells = [
            a_control(name, version if name == "mail" else "7", at, of_others.get(name, {}))
            for name in SERVICES
            for at in range(batch.bins_from, batch.bins_to, MINUTE)
            if at >= START
        ]
        stored = replace(batch, controls=tuple(cells))
        found.append(judge.consume(replace(batch, **unpack_counts(pack_counts(stored)))))
    return found


def a_control(service: str, version: str, at: int, plan: Plan) -> ControlCell:
    minute = (at - START) // MINUTE
    rng = np.random.default_rng([minute, SERVICES.index(service)])
    return ControlCell(
        service=service,
        version=version,
        bin_start=at,
        requests=float(PER_MINUTE),
        spans=PER_MINUTE,
        failed=int(rng.binomial(PER_MINUTE, RATE * factor(plan, minute))),
        timed=0,
        slower_p50=0,
        slower_p95=0,
    )


def minutes(moment: object) -> float:
    return (moment.timestamp() - START) / MINUTE  # type: ignore[attr-defined]


def test_damage_that_begins_with_the_deployment_is_worse_and_goes_on() -> None:
    found = verdicts(LASTING)[-1]
    assert found.state is State.WORSE
    assert found.past is not None
    assert not found.past.is_earlier
    assert found.past.recovered_at is None
    assert minutes(found.past.began_from) <= 0 <= minutes(found.past.began_to)
    assert found.sentence.startswith("checkout 2 is worse: POST /orders errors rose")
    assert {fact.question for fact in view(found, None).facts} >= {"Began"}


def test_damage_that_goes_away_by_itself_is_called_transient_and_stays_on_record() -> None:
    looks = verdicts({range(14): 4.0})
    assert [v.state for v in looks[-8:]] == [State.WORSE] * 8
    last = looks[-1]
    assert last.past is not None
    assert minutes(last.past.recovered_at) == pytest.approx(14, abs=2)
    assert "was worse for" in last.sentence
    assert "transient: it is as usual again since" in last.sentence
    assert "Over since" in {fact.question for fact in view(last, None).facts}


def test_it_is_over_only_after_ten_quiet_minutes() -> None:
    looks = verdicts({range(14): 4.0})
    recovered = [v.judged_at for v in looks if v.past is not None and v.past.recovered_at is not None]
    assert minutes(min(recovered)) >= 24


def test_damage_that_comes_back_is_not_over() -> None:
    looks = verdicts({range(12): 4.0, range(40, HOUR + 9): 4.0})
    over = [v.past is not None and v.past.recovered_at is not None for v in looks]
    assert any(over)
    assert not over[-1]
    assert " is worse: " in looks[-1].sentence
    assert "something else" not in looks[-1].sentence


def test_a_lull_in_traffic_is_no_recovery() -> None:
    last = verdicts(LASTING, traffic={range(20, HOUR + 9): 0.02})[-1]
    assert last.state is State.WORSE
    assert last.past is not None
    assert last.past.recovered_at is None


def test_what_began_ten_minutes_before_is_not_held_against_the_deployment() -> None:
    looks = verdicts({range(-10, HOUR + 9): 4.0})
    assert {v.state for v in looks} == {State.UNDECIDED}
    last = looks[-1]
    assert last.reason is Reason.NOT_COMPARABLE
    assert last.past is not None
    assert last.past.is_earlier
    assert minutes(last.past.began_at) == pytest.approx(-10, abs=1)
    assert "began about 10 minutes before it" in last.sentence


def test_a_deployments_own_preparations_are_its_own() -> None:
    assert verdicts({range(-3, HOUR + 9): 4.0})[-1].state is State.WORSE


def test_what_surely_began_long_after_is_worse_with_a_doubt() -> None:
    last = verdicts({range(35, HOUR + 9): 4.0})[-1]
    assert last.state is State.WORSE
    assert "minutes after the deployment, so something else may have done it" in last.sentence


def test_what_services_that_nobody_deployed_suffer_too_is_not_held_against_the_deployment() -> None:
    looks = with_controls(LASTING, dict.fromkeys(SERVICES, LASTING))
    assert {v.state for v in looks} == {State.UNDECIDED}
    last = looks[-1]
    assert last.reason is Reason.NOT_COMPARABLE
    assert last.past is not None
    assert last.past.elsewhere == SERVICES
    assert "cart, mail and search changed alike and nobody deployed those" in last.sentence
    beside_it = {fact.question: fact.answer for fact in view(last, None).facts}["Beside it"]
    assert "cart, mail, search changed alike" in beside_it


def test_what_only_the_deployed_one_suffers_is_worse_and_names_whom_it_was_compared_with() -> None:
    last = with_controls(LASTING, {"mail": {range(5, 9): 9.0}})[-1]
    assert last.state is State.WORSE
    assert last.past is not None
    assert (last.past.controls, last.past.elsewhere) == (SERVICES, ())


def test_a_service_that_was_deployed_itself_meanwhile_excuses_nothing() -> None:
    """Of three, one has another version now: two are left, and where they differ nobody knows which to trust."""
    last = with_controls(LASTING, {"mail": LASTING, "cart": LASTING}, version="8")[-1]
    assert last.state is State.WORSE
    assert last.past is not None
    assert last.past.controls == ()


def test_what_older_versions_stored_is_judged_as_they_did() -> None:
    last = verdicts({range(-10, HOUR + 9): 4.0}, known=expectations({}, before=False))[-1]
    assert last.state is State.WORSE
    assert last.past is None


def test_a_document_of_two_versions_side_by_side_has_nothing_of_it() -> None:
    beside = judged(Scenario(seconds=40), bins=10)
    assert beside.past is None
    assert "past" not in to_plain(beside)
    against = verdicts(LASTING)[-1]
    assert "past" in to_plain(against)
    for verdict in (beside, against):
        assert from_plain(Verdict, to_plain(verdict)) == replace(verdict)

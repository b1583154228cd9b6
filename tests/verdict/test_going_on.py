"""Once no old version serves beside the new one any more, the verdict goes on against the service's own past."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from onejob.model.deployment import Strategy
from onejob.model.evidence import Cell, EvidenceBatch, Expectations, JudgeSettings
from onejob.model.verdict import State, Verdict
from onejob.state.counts import pack_counts, unpack_counts
from onejob.verdict.judge import Judge
from onejob.verdict.recompute import refold
from verdict.hours import HOUR, MINUTE, PER_MINUTE, Plan, errors, expectations
from verdict.traffic import START, a_cell, a_deployment

ROLLING = a_deployment(strategy=Strategy.ROLLING)
OVERLAP = 10  # minutes in which old and new share the requests
LATER: Plan = {range(30, 2 * HOUR): 6.0}
NEVER: Plan = {}


def served(minute: int, overlap: int, plan: Plan, replaced: int, only: str) -> Iterator[Cell]:
    """Cells of a minute: half of the requests each while old and new overlap; a third version from `replaced` on."""
    if only:
        versions: tuple[str, ...] = (only,)
    elif minute < 0:
        versions = ("1",)
    elif minute < overlap:
        versions = ("1", "2")
    else:
        versions = ("2",) if minute < replaced else ("3",)
    for version in versions:
        n = PER_MINUTE // len(versions)
        failed = np.arange(n) < errors(plan if version == (only or "2") else NEVER, minute, n)
        yield a_cell(np.full(n, 0.03), failed, version=version, instance=version, bin_start=START + minute * MINUTE)


def expected_from(minute: int) -> Expectations:
    """Of errors, and of requests at all, of the hour that begins with a minute."""
    known = expectations(NEVER)
    # As high as the highest of some hundred windows of mere chance is now and then.
    heights = tuple(tuple(height + 0.4 for height in side) for side in known.series[0].heights)
    failed = replace(known.series[0], heights=heights)
    requests = replace(failed, operation="*", signal="shortfall", rate=(float(PER_MINUTE),) * HOUR, before=())
    return replace(known, first=START + minute * MINUTE, gap=minute, series=(requests, failed))


def looks(
    plan: Plan, overlap: int = OVERLAP, replaced: int = 3 * HOUR, known: bool = True, only: str = ""
) -> list[tuple[EvidenceBatch, Verdict, Judge]]:
    """A look every five minutes; what the past lets expect comes when the judge asks for it."""
    of = replace(ROLLING, version=only, previous_version=None) if only else ROLLING
    judge, found = Judge(of), []
    for seq, minute in enumerate(range(-5, HOUR + 25, 5)):
        expected = expected_from(max(minute, 0) + 2) if judge.lacks_past else None
        batch = EvidenceBatch(
            deployment_id=of.id,
            seq=seq,
            judged_at=datetime.fromtimestamp(START + (minute + 5) * MINUTE, UTC),
            bins_from=START + minute * MINUTE,
            bins_to=START + (minute + 5) * MINUTE,
            bin_width_s=MINUTE,
            cells=tuple(c for now in range(minute, minute + 5) for c in served(now, overlap, plan, replaced, only)),
            settings=JudgeSettings() if seq == 0 else None,
            expectations=expected if known or expected is None else replace(expected, series=()),
        )
        found.append((batch, judge.consume(batch), judge))
    return found


def kind(verdict: Verdict) -> str:
    return verdict.control.kind if verdict.control else ""


def test_damage_that_shows_only_when_the_old_version_is_gone_is_found_and_recomputable() -> None:
    found = looks(LATER)
    before = [verdict for batch, verdict, _ in found if batch.bins_to <= START + 30 * MINUTE]
    assert State.WORSE not in {verdict.state for verdict in before}
    last = found[-1][1]
    assert (last.state, kind(last)) == (State.WORSE, "before_after")
    assert "is worse: POST /orders errors rose" in last.sentence
    assert any("this is what that shows" in line for line in last.left_out)
    assert last.past is not None
    stored = [replace(batch, **unpack_counts(pack_counts(batch))) for batch, _, _ in found]
    assert refold(ROLLING, stored)[1] == last


def test_two_versions_that_came_to_no_verdict_side_by_side_are_judged_by_the_past_once_it_says_more() -> None:
    verdicts = [verdict for _, verdict, judge in looks(NEVER)]
    soon = next(one for one in verdicts if any("nothing is worse there so far" in line for line in one.left_out))
    assert (soon.state, kind(soon), soon.past) == (State.UNDECIDED, "concurrent", None)
    last = verdicts[-1]
    assert (last.state, kind(last)) == (State.NO_WORSE, "before_after")
    assert any("this is what that shows" in line for line in last.left_out)


def test_damage_seen_side_by_side_is_not_looked_at_again_against_the_past() -> None:
    *_, (_, last, judge) = looks({range(2 * HOUR): 20.0})
    assert (last.state, kind(last)) == (State.WORSE, "concurrent")
    assert judge.goes_on_until is None


def test_where_no_old_version_was_ever_beside_it_the_past_is_all_there_is_to_say() -> None:
    """As when a configuration was changed and the version stayed the same."""
    harmless, harmful = looks(NEVER, only="1")[-1][1], looks({range(2 * HOUR): 6.0}, only="1")[-1][1]
    assert (harmless.state, kind(harmless)) == (State.NO_WORSE, "before_after")
    assert (harmful.state, kind(harmful)) == (State.WORSE, "before_after")


def test_the_hour_begins_when_the_old_version_is_gone_and_ends_once() -> None:
    found = looks(NEVER)
    given = [batch for batch, _, _ in found if batch.expectations is not None]
    assert [(batch.bins_from - START) // MINUTE for batch in given] == [OVERLAP + 5]
    assert found[-1][2].goes_on_until == START + (OVERLAP + 5 + 2 + HOUR + 1) * MINUTE


def test_requests_that_the_next_version_takes_over_are_not_missed() -> None:
    assert looks(NEVER, replaced=40)[-1][1].state is not State.WORSE


def test_without_a_past_nothing_goes_on() -> None:
    *_, (_, last, judge) = looks(LATER, known=False)
    assert kind(last) == "concurrent"
    assert judge.goes_on_until is None
    assert not any("own past" in line for line in last.left_out)

"""The measure of new log templates: what is held out is unknown before, and only what is known counts as false."""

import random
from pathlib import Path

import pytest
from bench.verdict import loghub
from bench.verdict.results import AbsentError

LINES = [(f"E{n % 20}", f"message {'abcdefghijklmnopqrst'[n % 20]} of {n}") for n in range(400)]


def a_case(seed: int = 1) -> loghub.Case:
    return loghub.case(LINES, random.Random(seed), loghub.A_MINUTE)


@pytest.mark.parametrize("seed", range(5))
def test_held_out_templates_come_only_from_their_moment_on_and_for_a_minute(seed: int) -> None:
    case = a_case(seed)

    assert len(case.begins_s) == 2
    assert not {template for template, _ in case.before} & set(case.begins_s)
    for template, begin_s in case.begins_s.items():
        times = [line.at_s for line in case.after if line.template == template]
        assert len(times) == loghub.A_MINUTE
        assert begin_s == min(times)
        assert max(times) < begin_s + 60
    assert [line.at_s for line in case.after] == sorted(line.at_s for line in case.after)


def test_a_judge_that_knows_the_truth_finds_all_and_one_that_cries_each_time_is_false_on_what_was_known() -> None:
    case = a_case()
    old = len([line for line in case.after if line.template not in case.begins_s])

    knowing = loghub.watch(case, lambda text: None, lambda line: line.template in case.begins_s)
    crying = loghub.watch(case, lambda text: None, lambda line: True)

    assert (knowing.found, knowing.held_out, knowing.false) == (2, 2, 0)
    assert (crying.found, crying.false, crying.lines) == (2, old, len(case.after))


def test_what_is_told_later_than_a_minute_is_not_found() -> None:
    case = a_case()
    late = loghub.Case(case.before, case.after, {template: at - 61 for template, at in case.begins_s.items()})

    assert loghub.watch(late, lambda text: None, lambda line: True).found == 0


@pytest.mark.skipif(not loghub.has_drain3(), reason="drain3 has no wheel, and is not installed")
def test_drain3_counts_a_cluster_once_and_only_if_it_recurs() -> None:
    learn, is_news = loghub.drain3_recurring()
    learn("known words only")
    lines = [loghub.Line(float(at), "E", "quite another message altogether") for at in range(20)]

    assert [is_news(line) for line in lines].index(True) == 4
    assert not is_news(loghub.Line(30.0, "E", "known words only"))
    assert sum(is_news(line) for line in lines) == 0


def test_absent_logs_say_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="logpai/loghub"):
        loghub.rows(tmp_path, quick=True)

"""Rows of the benchmark: exact intervals, targets that are met or not, and a file others can read."""

import json
from pathlib import Path

import pytest
from bench.verdict import benches, report, results
from bench.verdict.results import AbsentError, Measure, Row, Unit
from scipy.stats import binom


@pytest.mark.parametrize(("hits", "n"), [(0, 300), (3, 300), (299, 300), (300, 300)])
def test_at_the_ends_of_the_interval_the_seen_share_is_just_unlikely(hits: int, n: int) -> None:
    low, high = results.clopper_pearson(hits, n)
    assert low <= hits / n <= high
    if hits:
        assert binom.sf(hits - 1, n, low) == pytest.approx(0.025)
    if hits < n:
        assert binom.cdf(hits, n, high) == pytest.approx(0.025)


def test_a_target_on_the_bound_is_harder_than_one_on_the_value() -> None:
    row = results.share(Measure.FALSE_ALARMS, "iid", 1, 300)
    assert row.at_most(0.01).met
    assert not row.at_most(0.01, surely=True).met
    assert row.at_most(0.01, surely=True).target == "bound <= 1 %"


def test_what_could_not_be_measured_meets_no_target() -> None:
    assert not Row(measure=Measure.COST, name="a day", value=None, unit=Unit.SECONDS).at_most(1.0).met


def test_a_median_counts_the_runs_that_never_ended() -> None:
    seen = results.quantile(Measure.DELAY, "iid", [1.0] * 40 + [float("inf")] * 60, 0.5)
    assert seen.value is None
    assert results.quantile(Measure.DELAY, "iid", [1.0] * 60 + [float("inf")] * 40, 0.5).value == 1.0


def test_the_file_holds_what_the_table_shows(tmp_path: Path) -> None:
    row = results.share(Measure.FALSE_ALARMS, "iid", 0, 400).at_most(0.01, surely=True)
    results.write([row], tmp_path / "deep" / "verdict.json")
    (read,) = json.loads((tmp_path / "deep" / "verdict.json").read_text())["rows"]
    assert (read["name"], read["value"], read["met"], read["target"]) == ("iid", 0.0, True, "bound <= 1 %")
    assert "| iid | onejob | 0 % | 0 % .. 0.918 % | 400 | bound <= 1 % | yes |" in results.markdown([row])


def test_an_absent_data_set_and_a_broken_benchmark_cost_nothing_but_themselves(tmp_path: Path) -> None:
    def absent(_: Path, __: bool) -> list[Row]:
        raise AbsentError("fetch it from somewhere")

    def broken(_: Path, __: bool) -> list[Row]:
        raise RuntimeError("a bug")

    def fine(_: Path, __: bool) -> list[Row]:
        return [results.share(Measure.TEMPLATES, "found", 9, 10)]

    said: list[str] = []
    kept: list[int] = []
    found = benches.run(
        {"a": absent, "b": broken, "c": fine}, tmp_path, True, said.append, lambda found: kept.append(len(found.rows))
    )
    assert kept == [0, 0, 1]
    assert ([row.name for row in found.rows], found.absent, found.failed) == (["found"], ["a"], ["b"])
    assert any("fetch it from somewhere" in words for words in said)
    assert any("a bug" in words for words in said)


def test_what_is_left_out_is_said_on_the_page() -> None:
    found = benches.Found([results.share(Measure.TEMPLATES, "found", 9, 10)], ["kontrast"], ["nezha"])
    page = report.page(found, "make bench-verdict", 1.0, 2.0)
    assert "as the data was absent: kontrast." in page
    assert "as the benchmark failed: nezha." in page
    assert "| found | onejob | 90 % |" in page


def test_long_benchmarks_come_last() -> None:
    assert list(benches.known())[-2:] == ["delays", "alarms"]

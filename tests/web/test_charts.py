"""Charts: what must be seen in the coordinates."""

import itertools
import math
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from onejob.model.deployment import Status
from onejob.model.verdict import EffectKind
from onejob.web.charts import histogram, interval, lanes, over_time, spark, waterfall

from .builders import NOW, QUERY, Lists, a_row, a_signal, a_trace, an_error_signal, some_history, some_signals

_FINITE = {"allow_nan": False, "allow_infinity": False}


def test_an_interval_beyond_the_tolerance_is_drawn_beyond_the_band() -> None:
    signal = a_signal(low=1.27, high=1.51, tolerance=1.10)
    plot = interval.plot(interval.axis(some_signals()), signal)
    assert plot.low is not None
    assert plot.same < plot.band_high < plot.low < (plot.point or 0) < (plot.high or 0)


def test_an_interval_inside_the_tolerance_is_drawn_inside_the_band() -> None:
    signal = an_error_signal(low=-0.0005, effect=0.0001, high=0.0008)
    plot = interval.plot(interval.axis([signal]), signal)
    assert plot.low is not None
    assert plot.high is not None
    assert plot.band_low < plot.low < plot.high < plot.band_high


def test_bands_of_usual_tolerances_are_equally_wide_for_rates_and_durations() -> None:
    latency, errors = a_signal(tolerance=1.10), an_error_signal(tolerance=0.001)
    scale = interval.axis([latency, errors])
    widths = [one.band_high - one.band_low for one in (interval.plot(scale, latency), interval.plot(scale, errors))]
    assert math.isclose(*widths, rel_tol=0.01)


def test_an_interval_that_leaves_the_paper_says_so() -> None:
    signal = a_signal(low=0.0, high=math.inf)
    plot = interval.plot(interval.axis([signal]), signal)
    assert plot.cut_low
    assert plot.cut_high


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1000, **_FINITE), st.floats(0.001, 1000, **_FINITE), st.sampled_from(EffectKind)),
        min_size=1,
        max_size=8,
    )
)
def test_labels_of_an_axis_never_overlap(ends: list[tuple[float, float, EffectKind]]) -> None:
    signals = [a_signal(low=min(a, b), high=max(a, b), effect=a, effect_kind=kind) for a, b, kind in ends]
    scale = interval.axis(signals)
    for kind in EffectKind:
        places = [tick.at for tick in interval.ticks(scale, kind)]
        assert all(right - left >= 39.9 for left, right in itertools.pairwise(places))
        assert any(tick.label == "same" for tick in interval.ticks(scale, kind))


def test_the_mass_that_moved_is_between_the_lines() -> None:
    drawn = histogram.draw({-100: 900, -30: 100}, {-100: 500, -30: 500}, 0.1, 0.5, "p95")
    assert drawn is not None
    assert drawn.moved.endswith("Z")
    assert drawn.control != drawn.treatment
    assert drawn.control_mark is not None
    assert drawn.treatment_mark is not None
    assert drawn.control_mark.at < drawn.treatment_mark.at


def test_a_histogram_without_one_arm_is_not_drawn() -> None:
    assert histogram.draw({}, {-100: 5}, None, 0.1, "p50") is None


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    events = over_time.Events(since=0, until=100, started=20, decided=90)
    drawn = over_time.draw({"control": [(10, 1.0), (20, None), (30, 1.0)], "treatment": []}, events, str)
    assert drawn is not None
    assert drawn.control.count("M") == 2
    assert drawn.treatment == ""


def test_a_chart_of_nothing_is_not_drawn() -> None:
    events = over_time.Events(since=0, until=100, started=20, decided=None)
    assert over_time.draw({"control": [(10, None)], "treatment": []}, events, str) is None


def test_rollbacks_are_joined_to_what_they_took_back() -> None:
    data = Lists(some_history())
    drawn = lanes.draw(list(data.marks(_all(), 400)), NOW - timedelta(days=7), NOW)
    assert sum(len(lane.arcs) for lane in drawn.lanes) > 3
    assert [day.label for day in drawn.days][-1] == "today"


def test_marks_at_the_same_moment_stay_apart_and_on_the_paper() -> None:
    rows = [replace(a_row(n, "a", "1", "0", None, ""), rollout=None) for n in range(30)]
    drawn = lanes.draw(Lists(rows).marks(_all(), 400), NOW - timedelta(days=7), NOW)
    places = [mark.at for mark in drawn.lanes[0].marks]
    assert all(b - a >= 10.9 for a, b in itertools.pairwise(places))
    assert places[-1] <= lanes.WIDTH


def test_both_traces_have_the_same_rows_and_one_scale() -> None:
    pair = waterfall.draw(a_trace("control"), a_trace("treatment"), ("POST /orders", "price_lines", QUERY))
    assert [row.label for row in pair.control.rows] == [row.label for row in pair.treatment.rows]
    times = {row.label: (left.times, row.times) for left, row in zip(pair.control.rows, pair.treatment.rows)}  # noqa: B905
    assert times[QUERY] == (1, 41)
    assert [row.label for row in pair.treatment.rows if row.is_cause] == [QUERY]


def test_a_missing_trace_leaves_its_side_without_bars() -> None:
    pair = waterfall.draw(None, a_trace("treatment"), ())
    assert all(row.bars == "" for row in pair.control.rows)


def test_a_sparkline_of_one_point_is_empty() -> None:
    assert spark.draw([(1.0, 2.0)], []).before == ""


def _all():  # type: ignore[no-untyped-def]
    from onejob.state.deployments import DeploymentFilter

    return DeploymentFilter()


def test_an_interval_with_one_open_end_reaches_the_edge_and_has_no_estimate() -> None:
    signal = a_signal(low=None, high=1.5, effect=0.01)
    plot = interval.plot(interval.axis([signal]), signal)
    assert plot.cut_low
    assert plot.point is None


def test_a_rollback_by_the_router_is_drawn_too() -> None:
    rows = [a_row(1, "a", "2", "1", None, "", status=Status.ROLLED_BACK)]
    drawn = lanes.draw(Lists(rows).marks(_all(), 9), NOW - timedelta(hours=1), NOW)
    assert [mark.shape for mark in drawn.lanes[0].marks] == ["none", "rollback"]
    assert len(drawn.lanes[0].arcs) == 1

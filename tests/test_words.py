"""Numbers and times in words."""

from datetime import UTC, datetime, timedelta

import pytest

from onejob import words
from onejob.model.verdict import EffectKind, Missing

NOW = datetime(2026, 11, 24, 14, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [(412, "412"), (96.34, "96.3"), (0.1234, "0.123"), (12400, "12,400"), (0, "0"), (-1.5, "−1.5"), (99.96, "100"),
     (1234567, "1,230,000"), (0.00012, "0.00012"), (float("inf"), "∞")],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert words.plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.412, "412 ms"), (0.000096, "96 µs"), (1.618, "1.62 s"), (150, "2.5 min"), (0, "0 ms"), (None, "–")],
)
def test_durations_have_the_unit_that_fits(value: float | None, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(103, "1 min 43 s"), (7500, "2 h 5 min"), (259_200, "3 d"), (3_604, "1 h"), (0.2, "under 1 s")]
)
def test_elapsed_time_has_at_most_two_units(value: float, text: str) -> None:
    assert words.elapsed(value) == text


def test_effects_of_latency_are_relative_and_those_of_errors_are_points() -> None:
    assert words.effect(EffectKind.RATIO, 1.38) == "+38 %"
    assert words.effect(EffectKind.RATIO, 0.977) == "−2.3 %"
    assert words.effect(EffectKind.RATIO, 2.4) == "×2.4"
    assert words.effect(EffectKind.DIFFERENCE, 0.0019) == "+0.19 points"
    assert words.effect(EffectKind.DIFFERENCE, None) == "–"


def test_intervals_may_be_open() -> None:
    assert words.interval(EffectKind.RATIO, 1.27, 1.51) == "+27 % to +51 %"
    assert words.interval(EffectKind.RATIO, None, 1.51) == "at most +51 %"
    assert words.interval(EffectKind.DIFFERENCE, -0.0006, 0.011) == "−0.06 to +1.1"
    assert words.interval(EffectKind.RATIO, 1.2, float("inf")) == "at least +20 %"
    assert words.interval(EffectKind.RATIO, None, None) == ""


def test_times_are_relative_with_a_word_for_a_clock_that_is_ahead() -> None:
    assert words.ago(NOW - timedelta(minutes=12, seconds=9), NOW) == "12 min ago"
    assert words.ago(NOW - timedelta(seconds=1), NOW) == "just now"
    assert words.ago(NOW + timedelta(minutes=2), NOW) == "in 2 min"
    assert words.day_and_clock(NOW - timedelta(days=1), NOW) == "14:15:00 yesterday"
    assert words.day_and_clock(NOW - timedelta(days=400), NOW) == "14:15:00 on 20 October 2025"


def test_what_is_missing_is_time_else_requests_else_traffic() -> None:
    values = {"largest_excluded": 0.01, "seconds_p90": None}
    assert words.what_is_missing(Missing(requests=7300, seconds_p50=350.0, **values)) == "about 6 min more"
    assert words.what_is_missing(Missing(requests=7300, seconds_p50=None, **values)) == "7,300 more requests"
    assert words.what_is_missing(Missing(requests=None, seconds_p50=None, **values)) == "not foreseeable yet"
    assert words.what_is_missing(Missing(requests=7300, seconds_p50=1e9, **values)) == "not at this traffic"


def test_long_names_are_cut_in_the_middle() -> None:
    cut = words.shorten("a" * 200 + "end", 30)
    assert len(cut) == 30
    assert cut.endswith("end")

"""Rows in their own units: what a KPI counts, web vitals, new errors, and what each tolerates."""

from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from onejob import units
from onejob.cli.signals import signal_rows
from onejob.model.kpi import Direction
from onejob.model.verdict import EffectKind, MixShift, NewThing, SignalResult, State
from onejob.state.codec import to_plain
from onejob.web.charts import interval
from onejob.web.pages import evidence, sure
from onejob.web.pages.evidence import Choice

from .builders import Lists, a_record, a_signal, a_verdict
from .test_pages import NASTY, Site

REVENUE = a_signal(
    operation="*", signal="revenue", family="kpi", unit="EUR", direction=Direction.HIGHER_IS_BETTER,
    control=52.25, treatment=47.0, effect=0.9, low=0.87, high=0.94, tolerance=1.02,
)  # fmt: skip
MEMORY = a_signal(
    operation="*", signal="memory", family="kpi", unit="MB/h", effect_kind=EffectKind.DIFFERENCE, exploratory=True,
    control=3.0, treatment=60.0, effect=57.0, low=41.0, high=73.0, tolerance=10.0,
)  # fmt: skip
CONVERSION = a_signal(
    operation="*", signal="conversion", family="kpi", unit="1", direction=Direction.EITHER,
    effect_kind=EffectKind.DIFFERENCE, control=0.031, treatment=0.027, effect=-0.004, low=-0.006, high=-0.002,
    tolerance=0.0006,
)  # fmt: skip
CLS = a_signal(
    operation="/cart", signal="cls_p75", family="vitals", effect_kind=EffectKind.DIFFERENCE, control=0.04,
    treatment=0.19, effect=0.15, low=0.11, high=0.2, tolerance=0.02,
)  # fmt: skip
NEW = a_signal(
    operation="KeyError in price", signal="new_error", family="novelty", unit="1", exploratory=True,
    effect_kind=EffectKind.DIFFERENCE, control=0.0, treatment=0.02, effect=0.02, low=0.01, high=0.04, tolerance=0.0,
    novelty=NewThing(
        kind="error", fingerprint="f1", title="KeyError in price", sample=f"Traceback {NASTY}", trace_id="t1",
        first_seen_at=datetime(2026, 11, 24, 14, 3, tzinfo=UTC), count=42, rate=0.02, control_requests=9000,
    ),
)  # fmt: skip
ALL = (REVENUE, MEMORY, CONVERSION, CLS, NEW)


@pytest.mark.parametrize(
    ("signal", "name", "control", "effect", "between", "tolerance"),
    [
        (REVENUE, "revenue", "52.2 EUR", "−10 %", "−13 % to −6 %", "−2 %"),
        (MEMORY, "memory", "3 MB/h", "+57 MB/h", "+41 to +73", "+10 MB/h"),
        (CONVERSION, "conversion", "3.1 %", "−0.4 points", "−0.6 to −0.2", "±0.06 points"),
        (CLS, "CLS p75", "0.04", "+0.15", "+0.11 to +0.2", "+0.02"),
        (NEW, "new error", "0 %", "+2 points", "+1 to +4", "none"),
        (a_signal(), "latency p95", "412 ms", "+38 %", "+27 % to +51 %", "+10 %"),
    ],
    ids=["a mean", "a slope", "yes or no", "layout shift", "a new error", "a row of an older server"],
)
def test_every_number_has_its_unit(
    signal: SignalResult, name: str, control: str, effect: str, between: str, tolerance: str
) -> None:
    assert units.name(signal) == name
    assert units.value(signal, signal.control) == control
    assert units.effect(signal, signal.effect) == effect
    assert units.interval(signal) == between
    assert units.tolerance(signal) == tolerance


def test_an_open_interval_in_a_unit_of_its_own_is_said_in_words() -> None:
    assert units.interval(replace(MEMORY, low=None)) == "at most +73 MB/h"
    assert units.interval(replace(MEMORY, high=None)) == "at least +41 MB/h"
    assert units.interval(replace(MEMORY, low=None, high=None)) == ""
    assert units.value(MEMORY, None) == "–"


def test_every_row_shows_its_tolerance_and_exploratory_ones_come_last() -> None:
    view = evidence.view(a_verdict(signals=(*ALL, a_signal())), Choice())
    assert all(row.tolerance for row in view.rows)
    assert [row.is_exploratory for row in view.rows] == [False] * 4 + [True] * 2
    assert any("42 requests since 14:03:00" in row.comment for row in view.rows)


def test_a_band_in_an_own_unit_is_as_wide_as_a_usual_one() -> None:
    scale = interval.axis([a_signal(), MEMORY])
    usual, own = interval.plot(scale, a_signal()), interval.plot(scale, MEMORY)
    assert own.band_high - own.band_low == pytest.approx(usual.band_high - usual.band_low, rel=0.05)
    assert own.low is not None
    assert own.low > own.band_high
    assert [interval.has_ticks(one) for one in ALL] == [True, False, True, False, True]


def test_the_page_of_a_deployment_with_every_kind_of_row_is_whole(site: Site) -> None:
    mix = MixShift(
        measure="errors", control=0.01, treatment=0.02, change=0.01, within=0.0, mix=0.01, sentence="It is the mix."
    )
    record = a_record(verdict=a_verdict(signals=ALL, mix=(mix,)))
    base = site(Lists([record]))
    page = f"{base}/deployments/dep_checkout1420"
    text = httpx.get(page).text
    for words in ("Tolerated", "EUR", "MB/h", "no guardrail", "It is the mix."):
        assert words in text, words
    for signal in ALL:
        address = httpx.URL(page, params={"operation": signal.operation, "signal": signal.signal})
        chosen = httpx.get(address)
        assert chosen.status_code == 200
        assert "<script>alert" not in chosen.text
    assert "All requests:" in chosen.text
    assert httpx.get(f"{page}/spark.svg").status_code == 200
    assert "higher_is_better" in httpx.get(f"{page}/evidence.csv").text


def test_a_doubter_is_shown_a_sample_of_what_is_new() -> None:
    facts = {fact.question: fact.answer for fact in sure.view(a_verdict(signals=(NEW,)), NEW).facts}
    assert "Traceback" in facts["Sample"]
    assert "2 % of the new version's requests" in facts["First seen"]


def test_the_command_line_writes_the_same_units() -> None:
    rows = {row[2]: row for row in signal_rows([to_plain(one) for one in ALL])}  # type: ignore[misc]
    assert rows["revenue"][3:6] == ("52.2 EUR", "47 EUR", "−10 % (−13 % to −6 %)")
    assert rows["memory (no guardrail)"][5] == "+57 MB/h (+41 to +73)"
    assert rows["conversion"][5] == "−0.4 points (−0.6 to −0.2)"
    assert rows["CLS p75"][3] == "0.04"
    old = {"signal": "latency_p95", "state": State.WORSE.value, "control": 0.4, "effect": 1.38, "low": 1.2, "high": 4.0}
    assert signal_rows([old])[0][3:6] == ("400 ms", "–", "+38 % (+20 % to ×4)")

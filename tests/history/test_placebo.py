"""A deployment of nothing is judged on the guardrails among the KPIs too, as a real one would be."""

from collections.abc import Iterator

import pytest

from onejob.config import Settings
from onejob.history.placebo import Placebo, Window, judged
from onejob.model.evidence import JudgeSettings
from onejob.model.kpi import Direction, Kpi, KpiKind
from onejob.store.engine import Engine, open_engine
from onejob.verdict.batches import BASELINE_S

from .reports import past
from .traffic import BEGAN, Arm, Says, store


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("past"), bin_width_s=1, tick_s=20, watermark_s=3)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("total", "guardrail", "is_alarm"),
    [(20.0, True, True), (50.0, True, False), (20.0, False, False)],
    ids=["an instance sells less", "both sell alike", "what is no guardrail alarms nobody"],
)
def test_an_instance_that_differs_in_a_guardrail_is_a_false_alarm(
    total: float, guardrail: bool, is_alarm: bool, engine: Engine, settings: Settings
) -> None:
    seconds = (-20, 150)
    arms = Arm("1", seconds, says=Says(total=total)), Arm("1", seconds, build="a", says=Says())
    service = store(engine, *arms)
    kpi = Kpi(
        name="total",
        kind=KpiKind.MEAN,
        direction=Direction.HIGHER_IS_BETTER,
        attribute="order.total",
        guardrail=guardrail,
    )
    window = Window("1", BEGAN - BASELINE_S, BEGAN + 150)
    placebo = Placebo(service, "production", window, frozenset({"1-0"}), frozenset({"1a-0"}))
    found, _ = judged(placebo, past(engine, settings), JudgeSettings(kpis=(kpi,), warm_up_s=0.0), settings)
    assert found is is_alarm

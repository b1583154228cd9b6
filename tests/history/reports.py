"""Backtests of what `traffic` stored, within this process."""

from onejob.config import Settings
from onejob.history.backtest import Materials, Period, run_backtest
from onejob.history.facts import NoFacts, StoredFacts
from onejob.model.backtest import Backtest
from onejob.state.database import Database
from onejob.store.engine import Engine
from onejob.store.past import Past
from onejob.verdict.batches import judge_settings

from .traffic import at


def past(engine: Engine, settings: Settings) -> Past:
    return Past(engine, settings.default_environment, settings.bin_width_s)


def backtested(
    engine: Engine, settings: Settings, service: str, *, until: float, since: float = -30, state: Database | None = None
) -> Backtest:
    materials = Materials(
        past=past(engine, settings),
        facts=StoredFacts(state) if state else NoFacts(),
        told=lambda service, _: judge_settings(settings, service),
        settings=settings,
        spans=engine,
    )
    period = Period(since=at(since), until=at(until), services=(service,))
    return run_backtest(materials, period, "bkt_1", "a test", lambda *_: None)

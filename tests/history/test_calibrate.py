"""Deployments of nothing, tried on a service's own past: how often they alarm, and what is done about it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from onejob.config import Settings
from onejob.history.calibrate import FACTORS, Asked, calibrate
from onejob.history.facts import NoFacts
from onejob.model.calibration import Calibration
from onejob.model.evidence import JudgeSettings
from onejob.model.verdict import FalseAlarms
from onejob.state.calibrations import Calibrations
from onejob.state.database import Database
from onejob.store.engine import Engine, open_engine
from onejob.store.past import Past
from onejob.verdict.batches import judge_settings
from otlp_builders import a_service

END = datetime(2026, 3, 1, tzinfo=UTC)
HOURS = 10
CALM = "toUInt64(cityHash64(number, 1) % 10 < 3)"
# For ten minutes at a time an instance fails a tenth of its requests: what phi, measured within bins, sees little of.
SPELLS = "if(cityHash64(intDiv(number, 240), number % 4) % 8 = 0, toUInt64(cityHash64(number, 2) % 9), 0)"
PAST = """
    INSERT INTO operation_rollup (ServiceName, Environment, Operation, SpanKind, Version, VersionSource, Build,
        Instance, Bin, Count, Errors, Sum, SumSq, Zeros, Buckets)
    SELECT '{service}', '', 'GET /', 'Server', {version}, 'service.version', '',
        concat('i-', toString(number % {instances})),
        toDateTime({since} + intDiv(number, {instances}) * 10, 'UTC'), 40, {errors}, 2.0, 0.1, 0,
        map(toInt16(-139), toUInt64(40))
    FROM numbers({rows})
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Each placebo is looked at eight times: a rate wants many placebos more than many looks at each."""
    return Settings(data_dir=tmp_path_factory.mktemp("past"), calibrate_placebo_s=200, tick_s=30)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


def served(engine: Engine, errors: str, instances: int = 4, version: str = "'1'") -> str:
    """A service that answered four requests a second on each instance for ten hours."""
    service, since = a_service(), int(END.timestamp()) - HOURS * 3600
    rows = HOURS * 360 * instances
    values = {"service": service, "since": since, "errors": errors, "rows": rows, "instances": instances}
    engine.execute(PAST.format(version=version, **values))
    return service


def calibrated(engine: Engine, settings: Settings, service: str) -> Calibration:
    asked = Asked(
        service=service,
        environment="production",
        since=END - timedelta(hours=HOURS),
        until=END,
        placebos=27,
    )
    past = Past(engine, "production", settings.bin_width_s)
    return calibrate(past, NoFacts(), settings, asked, lambda *_: None)


def test_a_calm_service_has_no_false_alarms_and_the_same_past_gives_the_same_answer(
    engine: Engine, settings: Settings
) -> None:
    service = served(engine, CALM)
    found = calibrated(engine, settings, service)
    assert found.false_alarms is not None
    assert (found.false_alarms.alarms, found.phi_factor, found.note) == (0, 1.0, "")
    assert found.false_alarms.placebos >= 20
    assert 0 < found.false_alarms.high < 0.2
    errors = next(one for one in found.history if one.signal == "errors")
    assert errors.phi == pytest.approx(1.0, abs=0.3)
    assert errors.blocks > 500
    again = calibrated(engine, settings, service)
    assert replace(again, took_s=0.0) == replace(found, took_s=0.0)


def test_where_noise_would_alarm_the_judge_becomes_more_careful_until_it_does_not(
    engine: Engine, settings: Settings
) -> None:
    found = calibrated(engine, settings, served(engine, SPELLS))
    assert found.false_alarms is not None
    assert found.phi_factor > 1
    assert found.false_alarms.phi_factor == found.phi_factor
    assert found.false_alarms.rate <= found.target or found.phi_factor == FACTORS[-1]


def test_what_cannot_be_measured_says_why(engine: Engine, settings: Settings) -> None:
    alone = calibrated(engine, settings, served(engine, CALM, instances=1))
    unknown = calibrated(engine, settings, "nope")
    changing = calibrated(engine, settings, served(engine, CALM, version="toString(intDiv(number, 240))"))
    assert [one.false_alarms for one in (alone, unknown, changing)] == [None, None, None]
    assert "runs on one instance" in alone.note
    assert "No request to nope in production is stored" in unknown.note
    assert "There was no time" in changing.note


def test_judges_are_told_what_was_measured_last(sqlite_database: Database) -> None:
    calibrations = Calibrations(sqlite_database)
    measured = FalseAlarms(placebos=75, alarms=0, rate=0.0, low=0.0, high=0.048, phi_factor=1.6, measured_at=END)
    first = Calibration(
        service="shop",
        environment="production",
        measured_at=END,
        since=END - timedelta(days=30),
        until=END,
        placebo_s=3600.0,
        target=0.01,
    )
    calibrations.save(first)
    calibrations.save(replace(first, phi_factor=1.6, false_alarms=measured))
    (known,) = calibrations.all()
    told = judge_settings(Settings(), "shop", known)
    assert (told.phi_factor, told.false_alarms) == (1.6, measured)
    assert judge_settings(Settings(), "shop", calibrations.get("shop", "staging")) == JudgeSettings()

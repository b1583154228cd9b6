"""A deployment that replaced the old version at once is judged against the service's own past."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.config import Settings
from onejob.model.calibration import Calibration
from onejob.model.deployment import Deployment, Status, Strategy
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step
from onejob.model.verdict import FalseAlarms, Reason, State, Verdict
from onejob.state.calibrations import Calibrations
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts
from onejob.store.engine import Engine, open_engine
from onejob.verdict import past
from onejob.verdict.recompute import recompute
from onejob.web.pages.sure import view
from otlp_builders import a_payload, a_service, a_span
from verdict.judge_loops import a_loop
from verdict.rollups import BEGAN, MINUTE, OPERATIONS, Service, moment, store
from verdict.traffic import a_deployment

# Minutes after the deployment at which it is looked at: seldom where only the last verdict is asked for, the hour's.
SELDOM, OFTEN = (1, 16, 40, 68), range(1, 70, 3)


def a_calibration(service: str, false_alarms: FalseAlarms) -> Calibration:
    began = moment(0)
    return Calibration(
        service=service,
        environment="production",
        measured_at=began,
        since=began,
        until=began,
        placebo_s=3_600.0,
        target=0.01,
        phi_factor=2.0,
        false_alarms=false_alarms,
    )


def store_again(engine: Engine, service: str, others: Sequence[str]) -> None:
    """What a service did, as if others had done it too."""
    engine.execute(
        "INSERT INTO operation_rollup SELECT * REPLACE (arrayJoin(splitByChar(' ', {others:String})) AS ServiceName) "
        "FROM (SELECT * FROM operation_rollup WHERE ServiceName = {service:String})",
        {"service": service, "others": " ".join(others)},
    )


def store_calls(engine: Engine, caller: str, called: str) -> None:
    """A few traces of the minutes before the deployment, in which one service calls the other; none is an entry."""
    payloads = []
    for number in range(5):
        trace_id, page = os.urandom(16), os.urandom(8)
        inside: dict[str, Any] = {
            "kind": Span.SPAN_KIND_INTERNAL,
            "trace_id": trace_id,
            "start_ns": (BEGAN - 300 + number) * 10**9,
        }
        payloads += [
            a_payload(a_span("page", span_id=page, parent=os.urandom(8), **inside), service=caller),
            a_payload(a_span("call", parent=page, **inside), service=called),
        ]
    engine.insert_traces(b"".join(payloads), caller)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("past"), bin_width_s=MINUTE, tick_s=1, watermark_s=3)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


Ship = Callable[..., tuple[Deployment, list[Verdict]]]


@pytest.fixture
def ship(engine: Engine, database: Database, settings: Settings) -> Ship:
    """Stores the service's telemetry, reports a deployment, and looks at it for an hour."""

    def shipped(
        of: Service, seed: int = 1, name: str | None = None, at: Iterable[int] = SELDOM, **changes: object
    ) -> tuple[Deployment, list[Verdict]]:
        name, rollout = name or a_service(), changes.pop("rollout", None)
        store(engine, of.rows(name, seed, str(changes.get("environment", "production"))))
        deployment = a_deployment(
            id=f"dep_{name}",
            service=name,
            started_at=moment(0),
            **({"strategy": Strategy.ALL_AT_ONCE} | changes),
        )
        Deployments(database).add(deployment)
        if isinstance(rollout, Rollout):
            Rollouts(database).add(rollout)
        loop = a_loop(engine, database, settings)
        times = [moment(minute * MINUTE + 5) for minute in at]
        return deployment, [look.verdict for now in times for look in loop.tick(now)]

    return shipped


@pytest.mark.untraced
def test_errors_that_rise_are_worse_within_minutes_and_the_document_is_recomputable(
    ship: Ship, database: Database
) -> None:
    deployment, verdicts = ship(Service(errors=5.0), at=OFTEN)
    turned = next(v for v in verdicts if v.state is State.WORSE)
    assert (turned.judged_at.timestamp() - BEGAN) / MINUTE <= 13
    leading = next(s for s in turned.signals if s.state is State.WORSE)
    assert leading.signal == "errors"
    assert leading.effect is not None
    assert leading.effect == pytest.approx(0.04, abs=0.02)
    assert turned.control is not None
    assert turned.control.kind == "before_after"
    assert turned.control.versions == ("1",)
    stored = Verdicts(database).current(deployment.id)
    assert stored is not None
    assert stored.state is State.WORSE
    assert max(s.low or 0.0 for s in stored.signals if s.signal == "errors") > 0.01
    assert stored == recompute(deployment, Evidences(database).read(deployment.id))


def test_the_verdict_shows_its_own_false_alarms_and_not_those_of_a_version_beside_another(
    ship: Ship, database: Database
) -> None:
    name = a_service()
    beside = FalseAlarms(
        placebos=99, alarms=9, rate=1 / 11, low=0.0, high=0.2, phi_factor=2.0, measured_at=datetime.now(UTC)
    )
    Calibrations(database).save(a_calibration(name, beside))
    _, verdicts = ship(Service(days=1.5), name=name)
    found = verdicts[-1].false_alarms
    assert found is not None
    assert 20 <= found.placebos < 1.5 * 24
    assert found.alarms <= 2
    assert found.low <= found.rate < found.high
    assert (found.phi_factor, found.measured_at.timestamp()) == (1.0, BEGAN + 2 * MINUTE)
    sure = {fact.question: fact.answer for fact in view(verdicts[-1], None).facts}
    assert f"of {found.placebos} hours of this service" in sure["False alarms"]


def test_damage_that_went_away_by_itself_is_transient_and_the_document_is_recomputable(
    ship: Ship, database: Database
) -> None:
    deployment, verdicts = ship(Service(errors=6.0, lasts=14 * MINUTE))
    last = verdicts[-1]
    assert last.state is State.WORSE
    assert last.past is not None
    assert last.past.recovered_at is not None
    assert (last.past.recovered_at.timestamp() - BEGAN) / MINUTE == pytest.approx(14, abs=2)
    assert "transient" in last.sentence
    assert any(change.sentence == last.sentence for change in Verdicts(database).history(deployment.id))
    assert any(" is worse: " in change.sentence for change in Verdicts(database).history(deployment.id))
    assert last == recompute(deployment, Evidences(database).read(deployment.id))


@pytest.mark.untraced
@pytest.mark.parametrize(("of_others", "state"), [(6.0, State.UNDECIDED), (1.0, State.WORSE)])
def test_what_the_whole_fleet_suffers_is_not_blamed_on_the_one_that_was_deployed(
    ship: Ship, engine: Engine, database: Database, of_others: float, state: State
) -> None:
    fleet, name, caller = a_service(), a_service(), a_service()
    others = sorted(a_service() for _ in range(3))
    store(engine, Service(errors=of_others, is_deployed=False).rows(caller, 2, fleet))
    store_again(engine, caller, others)
    store_calls(engine, caller, name)
    deployment, verdicts = ship(Service(errors=6.0), name=name, at=(1, 16, 68), environment=fleet)
    last = verdicts[-1]
    assert last.state is state
    assert last.past is not None
    assert sorted(last.past.controls) == others
    assert sorted(last.past.elsewhere) == (others if state is State.UNDECIDED else [])
    assert last == recompute(deployment, Evidences(database).read(deployment.id))


@pytest.mark.untraced
def test_a_rate_of_few_hours_is_not_shown(ship: Ship) -> None:
    _, verdicts = ship(Service(days=0.5))
    assert verdicts[-1].signals
    assert verdicts[-1].false_alarms is None


@pytest.mark.untraced
@pytest.mark.parametrize("seed", [1, 2])
def test_a_morning_that_rises_as_it_does_every_day_is_nobodys_fault(ship: Ship, seed: int) -> None:
    _, verdicts = ship(Service(), seed)
    assert {v.state for v in verdicts} <= {State.UNDECIDED, State.NO_WORSE}
    assert verdicts[-1].signals


def test_durations_that_rise_are_worse_and_their_interval_holds_the_truth(ship: Ship) -> None:
    _, verdicts = ship(Service(slower=1.6))
    assert verdicts[-1].state is State.WORSE
    medians = [s for s in verdicts[-1].signals if s.signal == "latency_p50"]
    assert len(medians) == len(OPERATIONS)
    for median in medians:
        assert median.low is not None
        assert median.high is not None
        assert median.low <= 1.6 <= median.high


@pytest.mark.untraced
def test_durations_that_fall_are_better(ship: Ship) -> None:
    _, verdicts = ship(Service(slower=0.5))
    assert verdicts[-1].state is State.BETTER


def test_a_version_that_gets_no_requests_any_more_is_worse(ship: Ship) -> None:
    _, verdicts = ship(Service(requests=0.0))
    assert verdicts[-1].state is State.WORSE
    assert "fewer requests than expected" in verdicts[-1].sentence


@pytest.mark.untraced
def test_what_was_rising_before_is_not_the_deployments_doing(ship: Ship) -> None:
    _, verdicts = ship(Service(errors=6.0, since=-40 * MINUTE))
    assert (verdicts[-1].state, verdicts[-1].reason) == (State.UNDECIDED, Reason.NOT_COMPARABLE)
    assert "before it already" in verdicts[-1].sentence


def test_without_a_past_there_is_nothing_to_compare_with(ship: Ship) -> None:
    _, verdicts = ship(Service(days=0.0, errors=20.0))
    assert (verdicts[-1].state, verdicts[-1].reason) == (State.UNDECIDED, Reason.NO_CONTROL)
    assert verdicts[-1].control is None


def test_with_an_hour_of_past_only_gross_damage_shows_and_the_verdict_says_what_is_not_known(ship: Ship) -> None:
    _, gross = ship(Service(days=1 / 24, per_minute=20.0, errors=60.0))
    _, slight = ship(Service(days=1 / 24, per_minute=20.0, errors=2.0))
    assert (gross[-1].state, slight[-1].state) == (State.WORSE, State.UNDECIDED)
    assert any("Less than a day" in line for line in slight[-1].left_out)


@pytest.mark.untraced
def test_it_is_looked_at_for_an_hour_and_not_longer(ship: Ship, database: Database) -> None:
    deployment, verdicts = ship(Service(days=0.5), at=OFTEN, status=Status.FINISHED, finished_at=moment(30))
    assert (verdicts[-1].judged_at.timestamp() - BEGAN) / MINUTE == pytest.approx(64, abs=3)
    assert deployment.id not in {found.id for found in Deployments(database).open()}


@pytest.mark.untraced
def test_requests_that_the_next_version_takes_over_are_not_missed(ship: Ship) -> None:
    _, verdicts = ship(Service(replaced=30 * MINUTE), status=Status.FINISHED, finished_at=moment(60))
    assert State.WORSE not in {verdict.state for verdict in verdicts}


@pytest.mark.parametrize("errors", [1.0, 5.0])
def test_a_finished_one_with_too_little_overlap_to_tell_is_compared_with_the_past_for_an_hour_more(
    ship: Ship, database: Database, errors: float
) -> None:
    finished = {"strategy": Strategy.ROLLING, "status": Status.FINISHED, "finished_at": moment(90)}
    deployment, verdicts = ship(Service(errors=errors), **finished)
    last = verdicts[-1]
    assert last.control is not None
    assert last.control.kind == "before_after"
    assert last.state is (State.WORSE if errors > 1 else State.UNDECIDED)
    assert any("With no old version beside it any more" in line for line in last.left_out)
    assert deployment.id not in {found.id for found in Deployments(database).open()}
    assert last == recompute(deployment, Evidences(database).read(deployment.id))


def test_a_change_of_the_configuration_alone_is_compared_with_the_past(ship: Ship) -> None:
    of_the_same = {"strategy": Strategy.ROLLING, "version": "1", "previous_version": None}
    _, verdicts = ship(Service(errors=5.0, is_deployed=False), **of_the_same)
    assert verdicts[-1].state is State.WORSE
    assert "errors rose" in verdicts[-1].sentence


def test_a_taken_back_one_is_not_looked_at_any_further(ship: Ship, database: Database) -> None:
    taken_back = {"strategy": Strategy.ROLLING, "status": Status.ROLLED_BACK, "finished_at": moment(90)}
    deployment, verdicts = ship(Service(days=0.5, errors=5.0), **taken_back)
    assert verdicts[-1].state is State.UNDECIDED
    assert deployment.id not in {found.id for found in Deployments(database).open()}


def test_steps_of_a_rollout_are_not_decided_by_the_past(ship: Ship, database: Database) -> None:
    name = a_service()
    rollout = Rollout(
        id=f"rol_{name}",
        deployment_id=f"dep_{name}",
        plan=RolloutPlan(
            driver="envoy",
            settings={},
            steps=(Step(share=0.5, hold_s=60, error_limit=0.3, latency_limit=3, timeout_s=600),),
            mode=Mode.ACT,
        ),
        state=RolloutState.HOLDING,
        step=0,
        share=0.5,
        step_started_at=moment(0),
    )
    of_a_canary = {"strategy": Strategy.CANARY, "rollout": rollout}
    _, verdicts = ship(Service(days=0.5, errors=5.0), name=name, **of_a_canary)
    assert {verdict.state for verdict in verdicts} == {State.UNDECIDED}
    assert "before_after" not in {verdict.control.kind for verdict in verdicts if verdict.control}


@pytest.mark.untraced
def test_errors_of_operations_beyond_the_busiest_are_judged_together(
    ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "_MOST_OPERATIONS", 1)
    _, verdicts = ship(Service(errors=5.0))
    signals = {(signal.operation, signal.signal): signal.state for signal in verdicts[-1].signals}
    assert signals["other", "errors"] is State.WORSE
    assert ("other", "latency_p50") not in signals

"""A metric as a KPI: from the points of processes that tell of it at seconds of their own, to a row of the verdict."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onejob.config import Settings
from onejob.model.evidence import EvidenceBatch, JudgeSettings, ValueCell
from onejob.model.kpi import Direction, Kpi, KpiKind, KpiSource
from onejob.model.verdict import SignalResult, State, Verdict
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.store.engine import Engine, open_engine
from onejob.store.otlp_tables import TABLES_OF
from onejob.verdict.judge import Judge
from onejob.verdict.recompute import recompute, refold
from otlp_builders import a_log_request, a_payload, a_record, a_service, a_span, attributes_of
from verdict.judge_loops import a_loop
from verdict.said import value_cell
from verdict.traffic import START, Scenario, a_deployment, looks

EVERY_S = 5
CALM = Scenario(rates={"POST /orders": 12.0}, share=lambda _: 0.5, seconds=330, baseline_s=20, spread=0.0)
LONGER = replace(CALM, seconds=500)
ORDERS = {"name": "orders", "kind": KpiKind.THROUGHPUT, "metric": "orders"}
Batches = list[EvidenceBatch]
Amount = Callable[[np.random.Generator, str, int], float]  # of a version's requests in a second


def a_kpi(**changes: Any) -> Kpi:
    values = {"direction": Direction.HIGHER_IS_BETTER, "source": KpiSource.METRIC, "every_s": EVERY_S}
    return Kpi(**(values | ORDERS | {"guardrail": True} | changes))  # type: ignore[arg-type]


def sold(share: float, of_new: float) -> Amount:
    return lambda rng, version, n: float(rng.binomial(n, of_new if version == "2" else share))


def counted(batches: Batches, amount: Amount, *, renamed: str = "", silent: str = "") -> Batches:
    """With the steps of a counter: every process tells what it added since the last time, at a second of its own."""
    rng, held, found = np.random.default_rng(3), dict[tuple[str, str], float](), []
    for batch in batches:
        for cell in batch.cells:
            who = (cell.version, cell.instance)
            held[who] = held.get(who, 0.0) + amount(rng, cell.version, cell.count)
        values = []
        for version, instance in sorted(held):
            if version != silent and (batch.bins_from + 2 * int(version)) % EVERY_S == 0:
                step = held[version, instance]
                values.append(value_cell("orders", version, renamed + instance, batch.bins_from, [step]))
                held[version, instance] = 0.0
        found.append(replace(batch, values=tuple(values)))
    return found


def row_of(batches: Batches, name: str = "orders") -> SignalResult | None:
    judge = Judge(a_deployment())
    verdict = [judge.consume(batch) for batch in looks(batches, 6)][-1]
    return next((one for one in verdict.signals if one.signal == name), None)


def traffic(kpi: Kpi, scenario: Scenario = CALM, seed: int = 1) -> Batches:
    return list(scenario.batches(seed, JudgeSettings(kpis=(kpi,))))


def test_fewer_orders_per_request_are_worse() -> None:
    row = row_of(counted(traffic(a_kpi(), LONGER), sold(0.4, 0.24)))
    assert row is not None
    assert (row.state, row.unit) == (State.WORSE, "orders/request")
    assert row.effect is not None
    assert row.control == pytest.approx(0.4, rel=0.1)
    assert row.effect == pytest.approx(0.6, rel=0.1)


def test_a_step_is_held_against_the_requests_it_is_of_while_traffic_moves() -> None:
    """Told 5 s later, it would be a tenth of the orders that there should be, for 5 s, each time that traffic moves."""
    moving = replace(CALM, share=lambda t: 0.05 if t // 25 % 2 else 0.95, seconds=120)
    row = row_of(counted(traffic(a_kpi(), moving), lambda _, __, n: 0.5 * n))
    assert row is not None
    assert row.effect == pytest.approx(1.0, abs=1e-9)
    assert (row.control, row.treatment) == (pytest.approx(0.5), pytest.approx(0.5))


def test_a_version_that_sells_nothing_and_never_tells_is_worse() -> None:
    """An SDK sends nothing of a counter that was never used."""
    row = row_of(counted(traffic(a_kpi()), sold(0.4, 0.0), silent="2"))
    assert row is not None
    assert (row.state, row.treatment) == (State.WORSE, 0.0)


def test_a_counter_of_processes_that_answer_no_requests_is_not_held_against_requests() -> None:
    assert row_of(counted(traffic(a_kpi()), sold(0.4, 0.1), renamed="scraped-")) is None


def test_steps_of_any_size_alarm_no_more_than_steps_of_one() -> None:
    """Revenue of few large orders scatters far more than a count of events would."""
    large: Amount = lambda rng, _, n: float(rng.binomial(n, 0.02) * rng.lognormal(5, 1.0))  # noqa: E731
    rows = [row_of(counted(traffic(a_kpi(), CALM, seed), large)) for seed in (1, 2)]
    assert [row.state for row in rows if row is not None] == [State.UNDECIDED] * 2


def test_consumers_are_compared_by_what_each_does_a_second() -> None:
    kpi = a_kpi(per_instance=True, unit="jobs")
    uneven = replace(CALM, control_instances=3, treatment_instances=1, share=lambda _: 0.25)
    row = row_of(counted(traffic(kpi, uneven), sold(1.0, 0.3)))
    assert row is not None
    assert (row.state, row.unit) == (State.WORSE, "jobs/s")
    assert row.control == pytest.approx(3.0, rel=0.1)


def levels(batches: Batches, level: Callable[[str, int], float], since: int = 0) -> Batches:
    """With a gauge that each process tells at a second of its own; the old version's second begins `since` then."""
    rng, found = np.random.default_rng(4), []
    for batch in batches:
        at = batch.bins_from - START
        values = [
            value_cell("depth", version, f"{who}-0", batch.bins_from, [level(version, at) * rng.lognormal(0, 0.05)])
            for version, who, begins in (("1", "a", -20), ("1", "c", since), ("2", "b", 0))
            if (at + 2 * int(version)) % EVERY_S == 0 and at >= begins
        ]
        found.append(replace(batch, values=tuple(values)))
    return found


QUEUE = a_kpi(
    name="depth", kind=KpiKind.MEAN, metric="queue.depth", direction=Direction.LOWER_IS_BETTER, per_instance=True
)


@pytest.mark.parametrize(("of_new", "state"), [(20.0, State.WORSE), (8.0, State.UNDECIDED)])
def test_queues_that_are_told_at_different_seconds_are_compared(of_new: float, state: State) -> None:
    row = row_of(levels(traffic(QUEUE, LONGER), lambda version, _: of_new if version == "2" else 8.0), "depth")
    assert row is not None
    assert row.state is state
    assert row.effect == pytest.approx(of_new / 8.0, rel=0.05)


def test_a_queue_that_grows_in_the_new_version_alone_is_a_leak() -> None:
    kpi = replace(QUEUE, kind=KpiKind.SLOPE)
    growing = levels(traffic(kpi), lambda version, t: 50.0 + (0.4 * t if version == "2" else 0.0), since=-10)
    row = row_of(growing, "depth")
    assert row is not None
    assert row.effect == pytest.approx(0.4 * 3600, rel=0.5)


@pytest.mark.untraced
def test_resuming_amid_a_minute_equals_never_having_stopped() -> None:
    batches = looks(counted(traffic(a_kpi(), replace(CALM, seconds=60)), sold(0.4, 0.3)), 3)
    resumed, _ = refold(a_deployment(), batches[:17])
    assert [resumed.consume(batch) for batch in batches[17:]][-1] == recompute(a_deployment(), batches)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": ""}, "must name it"),
        ({"kind": KpiKind.YES_NO}, "no yes and no"),
        ({"operation": "POST *"}, "not of an operation"),
        ({"attribute": "queue"}, "together"),
        ({"every_s": 0}, "1 to 3600"),
        ({"source": KpiSource.SPAN_ATTRIBUTE, "attribute": "x"}, "source must be `metric`"),
        ({"source": KpiSource.SPAN_ATTRIBUTE, "attribute": "x", "metric": "", "equals": "y"}, "points of a metric"),
        ({"source": KpiSource.SPAN_ATTRIBUTE, "attribute": "x", "metric": ""}, "every_s"),
    ],
)
def test_a_metric_that_contradicts_itself_is_refused_with_what_to_do(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        a_kpi(**changes)


BEGAN = int(time.time()) - 900
SECONDS = 270


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    of_all = {"service": "service-*", "direction": "higher_is_better"}
    return Settings(
        data_dir=tmp_path_factory.mktemp("metric-kpis"),
        bin_width_s=1,
        tick_s=1,
        watermark_s=3,
        kpis=[
            of_all
            | {"name": "orders", "kind": "throughput", "source": "metric", "metric": "shop.orders"}
            | {"every_s": EVERY_S, "attribute": "kind", "equals": "paid", "guardrail": True},
            {"name": "depth", "kind": "mean", "source": "metric", "metric": "queue.depth", "every_s": EVERY_S}
            | {"direction": "lower_is_better", "per_instance": True},
            of_all | {"name": "basket", "kind": "mean", "source": "metric", "metric": "basket", "every_s": EVERY_S},
            of_all | {"name": "signups", "kind": "throughput", "source": "event", "event": "user.signed_up"},
        ],  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


def send(engine: Engine, service: str, version: str, begins: int, *, sells: float) -> None:
    """Five requests a second of one process: a counter, a gauge and a histogram every 5 s, a sign-up in each fifth."""
    rng = np.random.default_rng(int(version))
    resource = {"service.version": version, "service.instance.id": f"i-{version}"}
    metrics, records, orders, baskets = ExportMetricsServiceRequest(), [], 0, [0, 0.0]
    of_resource = metrics.resource_metrics.add()
    of_resource.resource.attributes.extend(attributes_of({"service.name": service} | resource))
    told = of_resource.scope_metrics.add().metrics
    start_ns = (BEGAN + begins) * 10**9
    spans = []
    for t in range(begins, SECONDS):
        spans += [a_span(start_ns=(BEGAN + t) * 10**9 + i * 10**8, duration_s=0.03) for i in range(5)]
        now = int(rng.binomial(5, sells))
        orders, baskets = orders + now, [baskets[0] + now, baskets[1] + 50.0 * now]
        records.append(a_record(time_ns=(BEGAN + t) * 10**9 + 1, event_name="user.signed_up"))
        if (t + 2 * int(version)) % EVERY_S == 0:
            when = {"time_unix_nano": (BEGAN + t + 1) * 10**9, "start_time_unix_nano": start_ns}
            counter = told.add(name="shop.orders").sum
            counter.is_monotonic, counter.aggregation_temporality = True, 2
            counter.data_points.add(as_int=orders, attributes=attributes_of({"kind": "paid"}), **when)
            counter.data_points.add(as_int=7 * t + 10_000, attributes=attributes_of({"kind": "free"}), **when)
            told.add(name="queue.depth").gauge.data_points.add(as_int=int(5 + rng.integers(3)), **when)
            basket = told.add(name="basket").histogram
            basket.aggregation_temporality = 2
            basket.data_points.add(count=int(baskets[0]), sum=baskets[1], **when)
    engine.insert_traces(a_payload(*spans, service=service, resource=resource), f"{service}-{version}")
    for table in TABLES_OF["metrics"]:
        engine.insert(table.name, metrics.SerializeToString(), f"{service}-m{version}")
    logs = a_log_request(*records, service=service, resource=resource)
    engine.insert("otel_logs", logs.SerializeToString(), f"{service}-l{version}")


@pytest.mark.untraced
def test_metrics_and_logs_in_the_engine_turn_the_verdict_and_its_document_is_recomputable(
    engine: Engine, sqlite_database: Database, settings: Settings
) -> None:
    deployment = a_deployment(started_at=datetime.fromtimestamp(BEGAN, UTC), service=a_service())
    Deployments(sqlite_database).add(deployment)
    send(engine, deployment.service, "1", -30, sells=0.4)
    send(engine, deployment.service, "2", 0, sells=0.2)

    verdict = followed(engine, sqlite_database, settings, range(20, 140, 20))
    restarted = followed(engine, sqlite_database, settings.model_copy(update={"kpis": ()}), range(140, 280, 20))

    rows = {one.signal: one for one in restarted.signals}
    assert restarted.state is State.WORSE, restarted.sentence
    assert "orders fell" in restarted.sentence
    assert rows["orders"].effect == pytest.approx(0.5, abs=0.1)
    assert rows["orders"].unit == "orders/request"
    assert rows["depth"].control == pytest.approx(6.0, abs=0.5)
    assert rows["basket"].control == rows["basket"].treatment == pytest.approx(50.0)
    assert rows["signups"].control == pytest.approx(0.2, abs=0.02)
    assert {"orders", "depth", "basket", "signups"} <= {one.signal for one in verdict.signals}
    assert restarted == recompute(deployment, Evidences(sqlite_database).read(deployment.id))


def followed(engine: Engine, database: Database, settings: Settings, times: range) -> Verdict:
    loop = a_loop(engine, database, settings)
    found = [look for t in times for look in loop.tick(datetime.fromtimestamp(BEGAN + t, UTC))]
    return found[-1].verdict


def test_evidence_of_metrics_is_stored_as_it_was(sqlite_database: Database) -> None:
    cell = ValueCell(kpi="orders", version="1", instance="i", bin_start=10, counts={0: 2, 1100: 1}, sums={1100: 1.5})
    batch = replace(traffic(a_kpi())[0], values=(cell,))
    Deployments(sqlite_database).add(a_deployment())
    Evidences(sqlite_database).append(batch)
    (stored,) = Evidences(sqlite_database).read(batch.deployment_id)
    assert stored.values == (cell,)
    assert stored.settings == JudgeSettings(kpis=(a_kpi(),))

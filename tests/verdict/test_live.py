"""From spans in a real engine to a stored verdict, look by look, across a restart."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from meanwhile import Meanwhile
from onejob.config import Settings
from onejob.model.deployment import Deployment, Status, Strategy
from onejob.model.explanation import Explanation
from onejob.model.kpi import Direction, Kpi, KpiKind, Tolerance
from onejob.model.rollout import Mode, Rollout, RolloutPlan, RolloutState, Step
from onejob.model.verdict import Reason, State
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.state.forgetting import Theirs, forget_verdicts
from onejob.state.forgetting_evidence import forget_evidence
from onejob.state.forgotten import nothing_older
from onejob.state.outcomes import Stored, StoredOutcomes
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import EngineUnavailable
from onejob.verdict.live import JudgeLoop, Look
from onejob.verdict.recompute import recompute
from otlp_builders import a_log_request, a_payload, a_record, a_service, a_span, attributes_of
from verdict.judge_loops import a_loop
from verdict.traffic import a_deployment

BEGAN = int(time.time()) - 600


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("live"), bin_width_s=1, tick_s=1, watermark_s=3)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings)
    yield engine
    engine.close()


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


def store(
    engine: Engine, service: str, *, failing: float, seconds: int = 40, warm: bool = True, kept_of_new: int = 1
) -> None:
    """20 s of the old version alone, then both, ten requests a second each; one in `kept_of_new` is kept of the new."""
    rng = np.random.default_rng(1)
    for version, begins, fails in (("1", -20, 0.0), ("2", 0, failing)):
        spans = [
            a_span(
                start_ns=(BEGAN + t) * 10**9 + i * 10**8,
                duration_s=float(0.03 * np.exp(rng.normal(0, 0.3))),
                error=bool(rng.random() < fails),
                http__request__method="GET",
                http__route="/cart",
            )
            for t in range(begins, seconds)
            for i in range(10)
        ]
        if version == "2" and kept_of_new > 1:
            spans = spans[::kept_of_new]
            for span in spans:
                span.trace_state = f"ot=th:{2**56 - 2**56 // kept_of_new:014x}"
        if warm and version == "2":
            spans += [a_span(start_ns=(BEGAN - 5) * 10**9, user_agent__synthetic__type="test") for _ in range(30)]
        resource = {"service.version": version, "service.instance.id": f"i-{version}"}
        engine.insert_traces(a_payload(*spans, service=service, resource=resource), f"{service}-{version}")


def moment(t: float) -> datetime:
    return datetime.fromtimestamp(BEGAN + t, UTC)


def reported(database: Database, **changes: object) -> Deployment:
    deployment = a_deployment(started_at=moment(0), service=a_service(), **changes)
    Deployments(database).add(deployment)
    return deployment


def looks(loop: JudgeLoop, *times: float) -> list[Look]:
    return [look for t in times for look in loop.tick(moment(t))]


@pytest.mark.untraced
def test_failures_turn_the_verdict_and_the_stored_document_is_recomputable(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.4)
    found = looks(a_loop(engine, database, settings), *range(1, 44))
    turned = next(look for look in found if look.verdict.state is State.WORSE)
    assert turned.previous is not None
    assert turned.previous.state is State.UNDECIDED
    stored = Verdicts(database).current(deployment.id)
    assert stored is not None
    assert stored == recompute(deployment, Evidences(database).read(deployment.id))


def store_views(engine: Engine, service: str, *, slower: float) -> None:
    """What browsers put into logs beside `store`: ten page views a second, whose largest paint took about a second."""
    rng = np.random.default_rng(2)
    for version, begins, factor in (("1", -20, 1.0), ("2", 0, slower)):
        views = [
            a_record(
                time_ns=(BEGAN + t) * 10**9 + i * 10**8,
                event_name="browser.web_vital",
                attributes=attributes_of(
                    {
                        "browser.web_vital.name": "lcp",
                        "browser.web_vital.value": float(1000 * factor * np.exp(rng.normal(0, 0.3))),
                        "browser.web_vital.id": f"{version}-{t}-{i}",
                        "url.template": "/cart",
                        "session.id": f"{version}-{t}-{i}",
                    }
                ),
            )
            for t in range(begins, 40)
            for i in range(10)
        ]
        request = a_log_request(*views, service=service, resource={"service.version": version})
        engine.insert("otel_logs", request.SerializeToString(), f"{service}-{version}-views")


@pytest.mark.untraced
def test_pages_that_got_slower_in_browsers_make_a_version_worse(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.0)
    store_views(engine, deployment.service, slower=3.0)
    *_, last = looks(a_loop(engine, database, settings), *range(1, 44))
    (row,) = (signal for signal in last.verdict.signals if signal.family == "vitals")
    assert (row.operation, row.signal, row.state) == ("/cart", "lcp_p75", State.WORSE)
    assert last.verdict.state is State.WORSE


def store_warnings(engine: Engine, service: str) -> None:
    """Both versions warn, each of something else."""
    for version, begins, thing in (
        ("1", -20, "{who} has no address"),
        ("2", 0, "no price of {who}, a default is taken"),
    ):
        lines = [
            a_record(
                thing.format(who=("anna", "bert", "cleo")[t % 3]),
                time_ns=(BEGAN + t) * 10**9,
                severity_number=13,
                trace_id=(BEGAN + t).to_bytes(16, "big"),
            )
            for t in range(begins, 40)
        ]
        request = a_log_request(*lines, service=service, resource={"service.version": version})
        engine.insert("otel_logs", request.SerializeToString(), f"{service}-{version}-lines")


@pytest.mark.untraced
def test_a_warning_in_logs_that_only_the_new_version_writes_is_told(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.0)
    store_warnings(engine, deployment.service)
    meanwhile = Meanwhile(engine)
    loop = a_loop(meanwhile, database, settings)  # type: ignore[arg-type]
    *_, last = looks(loop, *range(1, 44))
    (row,) = (signal for signal in last.verdict.signals if signal.family == "novelty")
    assert row.novelty is not None
    assert (row.novelty.kind, row.novelty.sample) == ("log_template", "no price of anna, a default is taken")
    assert "new log message no price of anna" in last.verdict.sentence
    assert last.verdict == recompute(deployment, Evidences(database).read(deployment.id))

    # And a judge that is at work forgets whom everything else forgets in the middle of its look.
    def forget() -> None:
        nothing_older(database, moment(44))
        assert forget_evidence(database, theirs) == forget_verdicts(database, theirs) == 1
        nothing_older(database, moment(44))

    theirs = Theirs("enduser.id", ["anna"])
    meanwhile.act = forget
    assert looks(loop, 47) == [], "what was read before is not kept"
    stored = Verdicts(database).current(deployment.id)
    assert stored == recompute(deployment, Evidences(database).read(deployment.id))
    assert "anna" not in str(stored)
    *_, last = looks(loop, 50)
    assert "new log message no price of ████" in last.verdict.sentence
    assert last.verdict == recompute(deployment, Evidences(database).read(deployment.id))


@pytest.mark.untraced
def test_a_version_of_which_a_tenth_is_kept_misses_no_answers_and_is_still_found_to_fail(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database, traffic_share=0.5)
    store(engine, deployment.service, failing=0.6, kept_of_new=10)
    verdict = looks(a_loop(engine, database, settings), *range(1, 44))[-1].verdict
    rows = {(one.operation, one.signal): one for one in verdict.signals}
    errors, missing = rows["GET /cart", "errors"], rows["*", "shortfall"]
    assert (errors.treatment_spans, errors.treatment_requests) == (40, 400)
    assert errors.state is State.WORSE
    assert missing.state is not State.WORSE
    assert missing.effect == pytest.approx(0.0, abs=0.1)
    assert any("40 stand for 400 requests of the new version" in line for line in verdict.left_out)
    assert Verdicts(database).current(deployment.id) == recompute(deployment, Evidences(database).read(deployment.id))


@pytest.mark.untraced
def test_a_restart_in_the_middle_changes_nothing(engine: Engine, database: Database, settings: Settings) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.4)
    looks(a_loop(engine, database, settings), *range(1, 20))
    resumed = looks(a_loop(engine, database, settings), *range(20, 44))[-1].verdict
    batches = list(Evidences(database).read(deployment.id))
    assert [b.seq for b in batches] == list(range(len(batches)))
    assert all(a.bins_to == b.bins_from for a, b in pairwise(batches))
    assert resumed == recompute(deployment, batches)


def test_the_last_batch_ends_with_the_deployment(engine: Engine, database: Database, settings: Settings) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.0)
    loop = a_loop(engine, database, settings)
    looks(loop, 10, 20)
    Deployments(database).update(deployment.id, status=Status.FINISHED, finished_at=moment(20))
    last = looks(loop, 21, 25)[-1]
    assert last.finished
    assert Deployments(database).open() == []
    assert max(b.bins_to for b in Evidences(database).read(deployment.id)) <= BEGAN + 20
    assert looks(loop, 30) == []


def test_a_deployment_that_ends_without_a_request_says_so(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database)
    loop = a_loop(engine, database, settings)
    assert looks(loop, 10)[-1].verdict.sentence.endswith("is undecided: no request to it has been seen yet.")
    Deployments(database).update(deployment.id, status=Status.FAILED, finished_at=moment(20))
    last = looks(loop, 25)[-1]
    assert (last.verdict.reason, last.finished) == (Reason.NO_DATA, True)
    assert last.verdict.sentence.endswith("is undecided: no request to it was seen.")
    assert last.verdict == recompute(deployment, Evidences(database).read(deployment.id))


def test_judging_ends_at_the_horizon(engine: Engine, database: Database, settings: Settings) -> None:
    reported(database)
    loop = a_loop(engine, database, settings.model_copy(update={"judge_horizon_s": 30.0}))
    assert [look.finished for look in looks(loop, 10, 40)][-2:] == [False, True]


def test_one_shipped_all_at_once_without_a_past_has_nothing_to_be_compared_with(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database, strategy=Strategy.ALL_AT_ONCE)
    store(engine, deployment.service, failing=0.4)
    look = looks(a_loop(engine, database, settings), 30)[-1]
    assert (look.verdict.state, look.verdict.reason) == (State.UNDECIDED, Reason.NO_CONTROL)


def test_a_late_report_that_changes_the_arms_starts_the_judge_over(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database, previous_version="0")
    store(engine, deployment.service, failing=0.4)
    loop = a_loop(engine, database, settings)
    assert looks(loop, 20)[-1].verdict.reason is Reason.NO_CONTROL
    Deployments(database).update(deployment.id, previous_version="1")
    assert looks(loop, 30)[-1].verdict.state is State.WORSE


def test_an_explanation_stays_in_the_sentence(engine: Engine, database: Database, settings: Settings) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.4)
    nothing = Explanation(
        deployment_id=deployment.id, made_at=moment(0), operations=(), attributes=(), calls=(), traces=()
    )
    Explanations(database).save(nothing)
    verdict = looks(a_loop(engine, database, settings), 30)[-1].verdict
    batches = Evidences(database).read(deployment.id)
    assert verdict == recompute(deployment, batches, nothing)


def test_the_share_counts_once_it_is_steady(engine: Engine, database: Database, settings: Settings) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.0)
    step = Step(share=0.5, hold_s=60, error_limit=0.3, latency_limit=3, timeout_s=600)
    plan = RolloutPlan(driver="envoy", settings={}, steps=(step,), mode=Mode.ACT)
    rollout = Rollout(
        id="rol_1",
        deployment_id=deployment.id,
        plan=plan,
        state=RolloutState.HOLDING,
        step=0,
        share=0.5,
        step_started_at=moment(12),
    )
    Rollouts(database).add(rollout)
    looks(a_loop(engine, database, settings), 10, 20, 30)
    assert [b.share for b in Evidences(database).read(deployment.id)] == [None, None, None, 0.5]


def test_an_old_deployment_is_looked_at_seldom_but_not_while_its_traffic_is_moved(
    engine: Engine, database: Database, settings: Settings
) -> None:
    """At an hour, a look every ten seconds is enough; a new one beside it is looked at every time, and first."""
    old = reported(database, id="dep_old")
    loop = a_loop(engine, database, settings)
    looks(loop, 3600)
    new = a_deployment(started_at=moment(3600), service=a_service(), id="dep_new")
    Deployments(database).add(new)
    seen = {second: [look.deployment.id for look in looks(loop, 3600 + second)] for second in range(1, 12)}
    assert [second for second, ids in seen.items() if old.id in ids] == [11]
    assert all(ids[0] == new.id for ids in seen.values())

    step = Step(share=0.5, hold_s=60, error_limit=0.3, latency_limit=3, timeout_s=600)
    rollout = Rollout(
        id="rol_1",
        deployment_id=old.id,
        plan=RolloutPlan(driver="envoy", settings={}, steps=(step,), mode=Mode.ACT),
        state=RolloutState.HOLDING,
        step=0,
        share=0.5,
        step_started_at=moment(3611),
    )
    Rollouts(database).add(rollout)
    assert [look.deployment.id for look in looks(loop, 3612)] == [old.id, new.id]


def test_many_that_wait_for_requests_do_not_delay_one_that_has_some_and_none_is_forgotten(
    engine: Engine, database: Database, settings: Settings
) -> None:
    """With a tick that is late from its first moment on."""
    live = reported(database, id="dep_live")
    store(engine, live.service, failing=0.0)
    waiting = [
        replace(live, id=f"dep_{n}", service=a_service(), started_at=live.started_at + timedelta(milliseconds=n))
        for n in range(20)
    ]
    loop = a_loop(engine, database, settings.model_copy(update={"tick_s": 0.0}), time.monotonic)
    assert {look.deployment.id for look in looks(loop, 10)} == {live.id}
    for deployment in waiting:
        Deployments(database).add(deployment)

    seen = [list(dict.fromkeys(look.deployment.id for look in looks(loop, second))) for second in range(11, 33)]
    assert all(ids[0] == live.id for ids in seen)
    assert {len(ids) for ids in seen} == {3}, "the live one, and a tenth of the others"
    for several in (seen[:10], seen[11:21]):  # those that nobody has looked at yet, and those that served nobody
        assert {one for ids in several for one in ids[1:]} == {one.id for one in waiting}


def test_an_engine_that_is_away_delays_a_look_and_loses_nothing(
    engine: Engine, database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        def query(self, *_: object, **__: object) -> None:
            raise EngineUnavailable("restarting")

    deployment = reported(database)
    store(engine, deployment.service, failing=0.4)
    for _ in range(10):
        reported(database, id=f"dep_{a_service()}")
    assert looks(a_loop(Away(), database, settings), 20) == []  # type: ignore[arg-type]
    assert len(caplog.records) == 1, "a thousand open ones would fill the log with one sentence"
    verdicts = {look.deployment.id: look.verdict.state for look in looks(a_loop(engine, database, settings), 30)}
    assert verdicts[deployment.id] is State.WORSE


def test_a_long_outage_is_caught_up_in_pieces(engine: Engine, database: Database, settings: Settings) -> None:
    deployment = replace(a_deployment(started_at=moment(0) - timedelta(seconds=900)), service=a_service())
    Deployments(database).add(deployment)
    found = looks(a_loop(engine, database, settings), 30)
    assert [look.verdict.judged_at for look in found] == [moment(30)] * len(found)
    assert len(found) == 3


def test_a_judge_that_was_overtaken_by_another_goes_on_from_the_others_evidence(
    engine: Engine, database: Database, settings: Settings
) -> None:
    deployment = reported(database)
    store(engine, deployment.service, failing=0.4)
    first, second = a_loop(engine, database, settings), a_loop(engine, database, settings)
    looks(first, 10)
    looks(second, 20)
    assert looks(first, 21) == []
    assert looks(first, 30)[-1].verdict.state is State.WORSE
    batches = list(Evidences(database).read(deployment.id))
    assert Verdicts(database).current(deployment.id) == recompute(deployment, batches)


def test_a_deployment_that_cannot_be_judged_keeps_no_other_waiting(
    engine: Engine, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = reported(database, id="dep_0"), reported(database, version="3", id="dep_2")
    loop = a_loop(engine, database, settings)
    usual = loop._look

    def look(deployment: Deployment, now: datetime) -> Iterator[Look]:
        if deployment.id == broken.id:
            raise RuntimeError("a bug")
        yield from usual(deployment, now)

    monkeypatch.setattr(loop, "_look", look)
    assert {look.deployment.id for look in looks(loop, 20)} == {sound.id}


def test_kpis_of_the_service_are_judged_and_stay_what_they_were_when_settings_change(
    engine: Engine, database: Database, settings: Settings
) -> None:
    revenue = {"name": "revenue", "kind": "mean", "direction": "higher_is_better", "attribute": "order.total"}
    told = Settings.model_validate(
        settings.model_dump()
        | {
            "kpis": [
                revenue | {"service": "service-*", "guardrail": True},
                revenue | {"name": "x", "service": "other"},
            ],
            "tolerances": [{"signal": "errors", "tolerance": 0.25}, {"signal": "errors", "tolerance": 0.5}],
        }
    )
    deployment = reported(database)
    rng = np.random.default_rng(4)
    for version, begins, mean in (("1", -20, 50.0), ("2", 0, 30.0)):
        spans = [
            a_span(
                start_ns=(BEGAN + t) * 10**9 + i * 10**8,
                duration_s=0.03,
                order__total=float(mean * np.exp(rng.normal(0, 0.2))),
            )
            for t in range(begins, 60)
            for i in range(10)
        ]
        for span in spans[:: 20 if version == "2" else len(spans)][1:]:
            span.events.add(name="exception", attributes=attributes_of({"exception.type": "KeyError"}))
        resource = {"service.version": version, "service.instance.id": f"i-{version}"}
        engine.insert_traces(a_payload(*spans, service=deployment.service, resource=resource), f"kpi-{version}")

    looks(a_loop(engine, database, told), 20)
    verdict = looks(a_loop(engine, database, settings), *range(21, 64, 3))[-1].verdict  # restarted without the KPIs

    rows = {signal.signal: signal for signal in verdict.signals}
    assert (verdict.state, rows["revenue"].state) == (State.WORSE, State.WORSE)
    assert "revenue fell" in verdict.sentence
    assert "x" not in rows
    assert rows["errors"].tolerance == 0.25
    assert rows["new_error"].exploratory
    assert rows["new_error"].operation == "KeyError"
    batches = list(Evidences(database).read(deployment.id))
    assert [kpi.name for kpi in batches[0].settings.kpis] == ["revenue"]  # type: ignore[union-attr]
    assert verdict == recompute(deployment, batches)


def test_what_is_named_meanwhile_holds_for_the_next_deployment_and_changes_no_running_one(
    engine: Engine, database: Database, settings: Settings
) -> None:
    running, loop, named = reported(database, id="dep_0"), a_loop(engine, database, settings), StoredOutcomes(database)
    looks(loop, 20)
    total = Kpi(name="total", kind=KpiKind.MEAN, direction=Direction.EITHER, attribute="x", service="service-*")
    for one in (total, Tolerance(signal="errors", tolerance=0.2)):
        named.add(Stored(id="total", told=one, changed_at=moment(21), changed_by="ada"))
    following = reported(database, id="dep_1", version="3")
    looks(loop, 40, 41)

    def told(deployment: Deployment) -> list[tuple[str, ...]]:
        batches = Evidences(database).read(deployment.id)
        return [tuple(kpi.name for kpi in one.settings.kpis) for one in batches if one.settings is not None]

    assert (told(running), told(following)) == ([()], [("total",)])
    (first,) = [one.settings for one in Evidences(database).read(following.id) if one.settings is not None]
    assert [one.tolerance for one in first.tolerances] == [0.2]

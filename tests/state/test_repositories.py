"""What is stored is found again, the same, on SQLite and on PostgreSQL."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from onejob.model.deployment import Deployment, Source, Status
from onejob.model.evidence import Arm
from onejob.model.rollout import RolloutState
from onejob.model.verdict import Reason, State
from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter, Deployments
from onejob.state.errors import BadCursorError, ConflictError, NotFoundError
from onejob.state.evidence import Evidences
from onejob.state.leases import Leases
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.state.versions import KnownVersion, KnownVersions
from state.builders import (
    NOW,
    a_batch,
    a_cell,
    a_deployment,
    a_rollout,
    a_router_count,
    a_signal,
    a_transition,
    a_verdict,
    an_explanation,
)

SURROGATE = base64.urlsafe_b64encode(b'["2026-01-01T00:00:00+00:00", "\\ud800"]').decode()


@pytest.fixture
def stored(state_database: Database) -> Deployment:
    """A deployment that is stored."""
    deployment = a_deployment()
    Deployments(state_database).add(deployment)
    return deployment


def test_a_deployment_comes_back_as_it_was(state_database: Database) -> None:
    deployment = a_deployment(
        finished_at=NOW + timedelta(microseconds=1),
        first_seen_at=NOW,
        traffic_share=0.1,
        commit="abc",
        repository="https://example.org/r",
        actor="<script>alert(1)</script>",
        url="https://example.org/'\"",
        notes=('It\'s "odd".', "Ünïcödé ✓"),
    )
    Deployments(state_database).add(deployment)
    assert Deployments(state_database).get(deployment.id) == deployment


def test_the_same_version_in_progress_twice_is_a_conflict(state_database: Database, stored: Deployment) -> None:
    deployments = Deployments(state_database)
    with pytest.raises(ConflictError):
        deployments.add(a_deployment())
    deployments.update(stored.id, status=Status.FINISHED)
    deployments.add(a_deployment())


def test_updates_return_the_deployment_as_it_is_now(state_database: Database, stored: Deployment) -> None:
    updated = Deployments(state_database).update(stored.id, status=Status.FAILED, finished_at=NOW)
    assert updated == replace(stored, status=Status.FAILED, finished_at=NOW)
    with pytest.raises(NotFoundError):
        Deployments(state_database).update("dep_unknown", status=Status.FAILED)
    with pytest.raises(TypeError, match="colour"):
        Deployments(state_database).update(stored.id, colour="red")


def test_a_note_is_added_once(state_database: Database, stored: Deployment) -> None:
    deployments = Deployments(state_database)
    deployments.note(stored.id, "Odd.")
    assert deployments.note(stored.id, "Odd.").notes == ("Odd.",)


def test_notes_of_many_threads_are_all_kept(state_database: Database, stored: Deployment) -> None:
    deployments = Deployments(state_database)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: deployments.note(stored.id, f"{n}."), range(24)))
    found = deployments.get(stored.id)
    assert found is not None
    assert sorted(found.notes) == sorted(f"{n}." for n in range(24))


def test_of_many_simultaneous_starts_one_is_stored(state_database: Database) -> None:
    barrier = threading.Barrier(8)

    def start(_: int) -> bool:
        barrier.wait()
        try:
            Deployments(state_database).add(a_deployment())
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(start, range(8))) == 1


def test_open_deployments_are_those_whose_judging_has_not_ended(state_database: Database) -> None:
    deployments = Deployments(state_database)
    first, second = a_deployment(version="1"), a_deployment(version="2", started_at=NOW + timedelta(seconds=1))
    deployments.add(second)
    deployments.add(first)
    assert deployments.open() == [first, second]
    deployments.close(first.id, NOW)
    assert deployments.open() == [second]


def test_around_a_time_are_those_of_all_services_that_went_on_or_began_then(state_database: Database) -> None:
    deployments = Deployments(state_database)
    hour = timedelta(hours=1)

    def stored(service: str, began: float, ended: float | None = None, **said: object) -> None:
        finished_at = None if ended is None else NOW + ended * hour
        status = Status.IN_PROGRESS if ended is None else Status.FINISHED
        said = {"status": status, "finished_at": finished_at, **said}
        deployments.add(a_deployment(service=service, started_at=NOW + began * hour, **said))

    stored("began in it", 0.5, 0.6)
    stored("ended in it", -3, 0.1)
    stored("still goes on", -3)
    stored("was over", -3, -1)
    stored("began after it", 1)
    stored("was forgotten", -25)
    stored("is elsewhere", 0.5, environment="staging")

    found = deployments.around("production", NOW, NOW + hour)

    assert {one.service for one in found} == {"began in it", "ended in it", "still goes on"}
    assert found[0].service == "began in it"


def test_find_takes_the_latest_and_knows_builds(state_database: Database) -> None:
    deployments = Deployments(state_database)
    old = a_deployment(version="main", status=Status.FINISHED)
    new = a_deployment(version="main@abc", started_at=NOW + timedelta(hours=1))
    for deployment in (old, new, a_deployment(version="main_2"), a_deployment(version="main-3")):
        deployments.add(deployment)
    assert deployments.find("checkout", "production", "main") == new
    assert deployments.find("checkout", "production", "main@abc") == new
    assert deployments.find("checkout", "staging", "main") is None


def test_what_failed_is_no_previous_version(state_database: Database) -> None:
    deployments = Deployments(state_database)
    deployments.add(a_deployment(version="1", status=Status.FINISHED, started_at=NOW - timedelta(days=2)))
    deployments.add(a_deployment(version="2", status=Status.ROLLED_BACK, started_at=NOW - timedelta(days=1)))
    assert deployments.previous_version("checkout", "production", NOW) == "1"
    assert deployments.previous_version("checkout", "production", NOW - timedelta(days=3)) is None


def test_pages_by_cursor_show_everything_once(state_database: Database) -> None:
    deployments = Deployments(state_database)
    started = [NOW + timedelta(seconds=number // 3) for number in range(25)]  # ties are broken by id
    everything = [a_deployment(version=str(number), started_at=at) for number, at in enumerate(started)]
    for deployment in everything:
        deployments.add(deployment)

    seen: list[Deployment] = []
    cursor = None
    for _ in range(4):
        page = deployments.page(DeploymentFilter(), 7, cursor)
        seen += [record.deployment for record in page.items]
        cursor = page.next_cursor

    assert cursor is None
    assert seen == sorted(everything, key=lambda found: (found.started_at, found.id), reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "WyIyMDI2IiwgMV0", "\u00e4", "W10", "A" * 300, SURROGATE])
def test_a_made_up_cursor_is_refused(state_database: Database, cursor: str) -> None:
    with pytest.raises(BadCursorError):
        Deployments(state_database).page(DeploymentFilter(), 7, cursor)


@pytest.mark.parametrize(
    ("chosen", "versions"),
    [
        (DeploymentFilter(service="search"), ["88"]),
        (DeploymentFilter(environment="staging"), ["3"]),
        (DeploymentFilter(verdict="worse"), ["2"]),
        (DeploymentFilter(actor="mo"), ["3"]),
        (DeploymentFilter(source="detected"), ["88"]),
        (DeploymentFilter(since=NOW + timedelta(hours=2)), ["88"]),
        (DeploymentFilter(until=NOW + timedelta(hours=1)), ["2"]),
        (DeploymentFilter(text="SEAR"), ["88"]),
        (DeploymentFilter(text="%"), []),
        (DeploymentFilter(text="mo", service="checkout"), ["3"]),
        (DeploymentFilter(text="sear 88"), ["88"]),
        (DeploymentFilter(text="sear 3"), []),
    ],
)
def test_filters(state_database: Database, chosen: DeploymentFilter, versions: list[str]) -> None:
    deployments = Deployments(state_database)
    worse = a_deployment(version="2")
    deployments.add(worse)
    deployments.add(a_deployment(version="3", environment="staging", actor="mo", started_at=NOW + timedelta(hours=1)))
    later = NOW + timedelta(hours=2)
    deployments.add(a_deployment(version="88", service="search", source=Source.DETECTED, started_at=later))
    Verdicts(state_database).record(a_verdict(worse.id, state=State.WORSE, reason=None))

    assert [record.deployment.version for record in deployments.page(chosen).items] == versions


def test_a_record_holds_everything_known_and_a_list_the_worst(state_database: Database, stored: Deployment) -> None:
    worst = a_signal(state=State.WORSE, log_evidence=9.0)
    verdict = a_verdict(stored.id, signals=(*(a_signal(operation=f"GET /{n}") for n in range(9)), worst))
    rollout = a_rollout(stored.id)
    Verdicts(state_database).record(verdict)
    Explanations(state_database).save(an_explanation(stored.id))
    Rollouts(state_database).add(rollout)

    record = Deployments(state_database).record(stored.id)
    (listed,) = Deployments(state_database).page(DeploymentFilter()).items
    (whole,) = Deployments(state_database).page(DeploymentFilter(), whole=True).items

    assert record is not None
    assert (record.verdict, record.rollout, record.explanation) == (verdict, rollout, an_explanation(stored.id))
    assert whole == record
    assert listed.verdict is not None
    assert listed.verdict.signals[0] == worst
    assert len(listed.verdict.signals) == 3
    assert listed.explanation is None


def test_choices_are_what_there_is(state_database: Database) -> None:
    deployments = Deployments(state_database)
    deployments.add(a_deployment(service="b", actor="mo"))
    deployments.add(a_deployment(service="a", environment="staging"))
    choices = deployments.choices()
    assert (choices.services, choices.environments, choices.actors) == (("a", "b"), ("production", "staging"), ("mo",))
    assert deployments.count() == 2


def test_a_verdict_comes_back_with_its_infinities(state_database: Database, stored: Deployment) -> None:
    signal = a_signal(effect=float("inf"), log_evidence=float("-inf"))
    verdict = a_verdict(stored.id, signals=(signal,))
    Verdicts(state_database).record(verdict)
    assert Verdicts(state_database).current(stored.id) == verdict
    assert Verdicts(state_database).current("dep_other") is None


def test_the_history_grows_only_when_a_verdict_says_something_new(state_database: Database, stored: Deployment) -> None:
    verdicts = Verdicts(state_database)
    first = a_verdict(stored.id)
    for verdict in (
        first,
        replace(first, judged_at=NOW + timedelta(seconds=10)),
        replace(first, sentence="Undecided: 5 more minutes."),
        replace(first, state=State.WORSE, reason=None, sentence="Worse\x00."),
        replace(first, state=State.WORSE, reason=None, sentence="Worse\x00.", judged_at=NOW + timedelta(seconds=9)),
    ):
        verdicts.record(verdict)

    history = verdicts.history(stored.id)

    assert [(change.state, change.reason) for change in history] == [
        (State.UNDECIDED, Reason.TOO_EARLY),
        (State.UNDECIDED, Reason.TOO_EARLY),
        (State.WORSE, None),
    ]
    current = verdicts.current(stored.id)
    assert current is not None
    assert current.judged_at == NOW + timedelta(seconds=9)


def test_a_version_judged_worse_is_remembered(state_database: Database, stored: Deployment) -> None:
    verdicts = Verdicts(state_database)
    assert verdicts.rejected_version("checkout", "production", "2") is None
    worse = a_verdict(stored.id, state=State.WORSE, reason=None)
    verdicts.record(worse)
    assert verdicts.rejected_version("checkout", "production", "2") == worse
    assert verdicts.rejected_version("checkout", "staging", "2") is None


def test_evidence_comes_back_bit_by_bit_the_same(state_database: Database, stored: Deployment) -> None:
    evidences = Evidences(state_database)
    batches = [
        a_batch(stored.id, seq=seq, bins_to=1010 + seq, cells=(a_cell(sum_s=seq / 3), a_cell(build="b", buckets={})))
        for seq in range(250)
    ]
    for batch in batches:
        evidences.append(batch)
    assert list(evidences.read(stored.id)) == batches
    assert (evidences.last_seq(stored.id), evidences.bins_to(stored.id)) == (249, 1259)
    assert evidences.last_seq("dep_other") is None


def test_two_judges_cannot_store_the_same_batch(state_database: Database, stored: Deployment) -> None:
    Evidences(state_database).append(a_batch(stored.id))
    with pytest.raises(ConflictError):
        Evidences(state_database).append(a_batch(stored.id))


def test_router_samples_are_taken_until_a_batch_has_them(state_database: Database, stored: Deployment) -> None:
    evidences = Evidences(state_database)
    early, late = a_router_count(), a_router_count(sampled_at=NOW + timedelta(seconds=1))
    control = a_router_count(arm=Arm.CONTROL)
    for count in (early, early, late):
        evidences.append_router(stored.id, count)
    until = NOW + timedelta(seconds=1)
    assert evidences.take_router(stored.id, until) == [early]
    evidences.append_router(stored.id, control)  # between a judge's taking and storing
    evidences.append(a_batch(stored.id, router=(early,)))
    assert evidences.take_router(stored.id, until) == [control]
    assert evidences.take_router(stored.id, until + timedelta(seconds=1)) == [control, late]


def test_a_rollout_keeps_every_transition(state_database: Database, stored: Deployment) -> None:
    rollouts = Rollouts(state_database)
    rollout = a_rollout(stored.id)
    rollouts.add(rollout)
    moved = replace(
        rollout, state=RolloutState.ABORTED, transitions=(*rollout.transitions, a_transition(reason="worse"))
    )
    rollouts.save(moved)
    assert rollouts.get(rollout.id) == moved == rollouts.by_deployment(stored.id)
    with pytest.raises(ConflictError):
        rollouts.save(rollout)
    with pytest.raises(NotFoundError):
        rollouts.save(a_rollout(stored.id))


def test_a_deployment_has_one_active_rollout(state_database: Database, stored: Deployment) -> None:
    rollouts = Rollouts(state_database)
    first = a_rollout(stored.id)
    rollouts.add(first)
    with pytest.raises(ConflictError):
        rollouts.add(a_rollout(stored.id))
    rollouts.save(replace(first, state=RolloutState.ABORTED))
    assert rollouts.active() == []
    second = a_rollout(stored.id, id="rol_zzzzzzzzzzzzzzzzzzzz")
    rollouts.add(second)
    assert rollouts.active() == [second]
    assert rollouts.by_deployment(stored.id) == second
    with pytest.raises(NotFoundError):
        rollouts.add(a_rollout("dep_unknown"))


def test_a_lease_has_one_holder_until_it_runs_out(state_database: Database) -> None:
    now = [NOW]
    leases = Leases(state_database, clock=lambda: now[0])
    assert leases.acquire("judge", "a", 30)
    assert leases.acquire("judge", "a", 30)
    assert not leases.acquire("judge", "b", 30)
    now[0] += timedelta(seconds=31)
    assert leases.acquire("judge", "b", 30)
    leases.release("judge", "b")
    assert leases.acquire("judge", "a", 30)


def test_known_versions_are_kept_and_renewed(state_database: Database) -> None:
    versions = KnownVersions(state_database)
    known = KnownVersion(
        service="checkout",
        environment="production",
        version="2",
        builds=("a\nb", "c"),
        first_seen_at=NOW,
        last_seen_at=NOW,
        rate_per_s=1 / 3,
    )
    versions.save([known])
    seen = replace(known, last_seen_at=NOW + timedelta(seconds=9))
    versions.save([seen])
    assert versions.all() == [seen] == versions.of_service("checkout", "production")
    assert versions.of_service("checkout", "staging") == []

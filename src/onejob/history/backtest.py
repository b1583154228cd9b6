"""Every deployment of the past, found and judged as it would have been live.

    services -> when each version answered -> deployments -> verdicts -> what hearing them would have saved

One service after the other: what is in memory is a month of one service's bins, and an hour of one deployment's counts.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from onejob import __version__
from onejob.config import Settings
from onejob.history.detection import DetectionReplay, Found
from onejob.history.errors import PeriodError
from onejob.history.facts import Fact, Facts
from onejob.history.presence import Presence, by_environment
from onejob.history.replay import Replay
from onejob.history.saved import saved
from onejob.history.scratch import scratch_database
from onejob.history.source import PastSource
from onejob.model.backtest import Backtest, BacktestedDeployment
from onejob.model.evidence import JudgeSettings
from onejob.model.verdict import State
from onejob.store.engine import Reader
from onejob.store.past import Past

log = logging.getLogger(__name__)

# What served in the week before is no news; the detection itself looks a day further back.
_LEAD = timedelta(days=7)
_FIRST_LOOK = timedelta(days=1)
LONGEST = timedelta(days=400)
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
_NAMED = 10  # services in a sentence

Told = Callable[[str, str], JudgeSettings]  # what a judge of (service, environment) is told
Progress = Callable[[int, int, str, int], None]  # services done, services, the present one, deployments judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What a backtest works on. `spans` is where warm-up requests are looked for, None where they are not ours."""

    past: Past
    facts: Facts
    told: Told
    settings: Settings
    spans: Reader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Deployments that started in [since, until), of all services or some."""

    since: datetime
    until: datetime
    services: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise PeriodError("The time is empty: its beginning must be before its end, and in the past.")
        if self.since < _EARLIEST:
            raise PeriodError(f"There are no spans from before {_EARLIEST:%Y}: choose a later time.")
        if self.until - self.since > LONGEST:
            raise PeriodError(f"The time is longer than {LONGEST.days} days: choose a shorter one.")


def run_backtest(materials: Materials, period: Period, report_id: str, source: str, progress: Progress) -> Backtest:
    """The report; `source` names the store in words."""
    began = time.monotonic()
    there = materials.past.services(int(period.since.timestamp()), int(period.until.timestamp()))
    services = [name for name in there if not period.services or name in period.services]
    judged: list[BacktestedDeployment] = []
    for done, service in enumerate(services):
        for one in _of_service(materials, service, period):
            judged.append(one)
            progress(done, len(services), service, len(judged))
        progress(done + 1, len(services), service, len(judged))
    now = datetime.now(UTC)
    return Backtest(
        id=report_id,
        made_at=now,
        since=period.since,
        until=period.until,
        source=source,
        services=tuple(services),
        deployments=tuple(sorted(judged, key=lambda one: (one.deployment.started_at, one.deployment.id))),
        notes=tuple(_notes(there, period.services, judged)),
        took_s=time.monotonic() - began,
        engine_version=f"onejob {__version__}",
    )


def _of_service(materials: Materials, service: str, period: Period) -> Iterator[BacktestedDeployment]:
    past, settings = materials.past, materials.settings
    first = period.since - _LEAD - _FIRST_LOOK
    rows = past.presence(service, int(first.timestamp()), int(period.until.timestamp()))
    places = by_environment(service, rows, settings.default_environment, settings.bin_width_s)
    for environment, presence in places.items():
        facts = materials.facts.of(service, environment, first, period.until)
        for found in deployments_of(presence, environment, facts, period, settings):
            fact = next((one for one in facts if one.deployment.id == found.last.id), None)
            replayed = _judged(materials, found, fact, presence, period.until)
            if replayed is not None:
                yield replayed


def deployments_of(
    presence: Presence, environment: str, facts: Sequence[Fact], period: Period, settings: Settings
) -> list[Found]:
    """Those that started in the period, oldest first."""
    if len(presence.rows) < 2 and not facts:
        return []  # one version all the time
    with scratch_database() as database:
        replay = DetectionReplay(database, presence, [fact.deployment for fact in facts], settings)
        found = replay.run(environment, period.since - _LEAD, period.until)
    return [one for one in found if one.last.started_at >= period.since]


def _judged(
    materials: Materials, found: Found, fact: Fact | None, presence: Presence, until: datetime
) -> BacktestedDeployment | None:
    deployment = found.last
    source = PastSource(
        materials.past,
        materials.told(deployment.service, deployment.environment),
        materials.spans,
        fact.rollout if fact else None,
        fact.samples if fact else (),
    )
    replayed = Replay(found, source, presence, until, materials.settings).run()
    verdict = replayed.verdict
    if verdict is None:
        return None  # too young: its first look is still to come
    after = verdict.decided_at - deployment.started_at if verdict.decided_at else None
    return BacktestedDeployment(
        deployment=deployment,
        verdict=verdict,
        decided_after_s=after.total_seconds() if after is not None else None,
        looks=replayed.looks,
        saved=saved(deployment, verdict, presence, materials.past, until),
        said_then=fact.said if fact else None,
    )


def _notes(there: Sequence[str], asked: Sequence[str], judged: Sequence[BacktestedDeployment]) -> Iterator[str]:
    unknown = [name for name in asked if name not in there]
    if not there:
        yield "No service answered anything in this time: is it the right store, table and time?"
    elif unknown:
        more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        yield (
            f"{', '.join(unknown)} answered nothing in this time. Services that did: {', '.join(there[:_NAMED])}{more}."
        )
    if there and len(unknown) < max(1, len(asked)) and not judged:
        yield "No deployment was found: no service showed a version in this time that it had not shown before."
    undecided = [one for one in judged if one.verdict.state is State.UNDECIDED]
    if undecided and len(undecided) == len(judged):
        yield "No verdict was reached: old and new versions never served side by side for long enough."

"""The view of *Deployments*: what happened lately, one row each, newest first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from onejob import words
from onejob.model.deployment import Deployment, Source, Status
from onejob.model.rollout import Rollout, RolloutState
from onejob.model.verdict import State, Verdict
from onejob.state.deployments import DeploymentRecord as Record
from onejob.state.deployments import FilterChoices
from onejob.state.timeline import Mark
from onejob.web.charts import lanes
from onejob.web.pages import filters
from onejob.web.pages.data import Records
from onejob.web.pages.filters import Query
from onejob.web.pages.sentence import Part, headline_and_rest, names_in, set_sentence, without_subject

_ORDER = {State.WORSE: 0, State.UNDECIDED: 1, State.NO_WORSE: 2, State.BETTER: 3}
MOST_MARKS = 400
_MOST_DRAWN = 120
_GONE = {Status.ROLLED_BACK, Status.FAILED, Status.SUPERSEDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One deployment; `state` is empty while there is no verdict."""

    id: str
    url: str
    state: str
    state_words: str
    service: str
    environment: str
    version: str
    previous: str
    sentence: list[Part]
    fate: str
    share: float | None
    is_live: bool
    started_at: datetime
    ago: str
    complaints: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The page's answer, and the line under it."""

    sentence: str
    under: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SortLink:
    """A column's head: where a click leads and which way it is sorted now."""

    name: str
    url: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything the template writes."""

    heading: Heading
    query: Query
    choices: FilterChoices
    lanes: lanes.Lanes | None
    rows: list[Row]
    heads: dict[str, SortLink]
    older: str
    newest: str
    csv: str
    json: str
    ids: str


def view(query: Query, page: Records, marks: Sequence[Mark], choices: FilterChoices, now: datetime) -> Listing:
    """Put together what the page shows."""
    records = _sorted(page.items, query.sort)
    since, until = filters.period(query, now)
    return Listing(
        heading=heading(marks, query, now),
        query=query,
        choices=choices,
        lanes=_lanes(marks, since, until, now),
        rows=[row(record, now) for record in records],
        heads={name: _head(query, name) for name in _KEYS},
        older=filters.link(query, cursor=page.next_cursor) if page.next_cursor else "",
        newest=filters.link(query) if query.cursor else "",
        csv=filters.link(query, base="/deployments.csv"),
        json=filters.api_link(query, now),
        ids=" ".join(record.deployment.id for record in page.items),
    )


def _lanes(marks: Sequence[Mark], since: datetime | None, until: datetime | None, now: datetime) -> lanes.Lanes | None:
    """From the beginning of the range, but not from long before the first deployment."""
    if not marks:
        return None
    marks = marks[:_MOST_DRAWN]  # newest first; the page has a budget
    end = min(until or now, now)
    first = min(mark.started_at for mark in marks)
    start = max(since or first, first - max((end - first) * 0.08, timedelta(minutes=1)))
    return lanes.draw(marks, start, max(end, start + timedelta(minutes=1)))


def heading(marks: Sequence[Mark], query: Query, now: datetime) -> Heading:
    """`1 of 7 deployments in the last 24 hours made production worse; it no longer serves users.`"""
    today = [mark for mark in marks if now - mark.started_at < timedelta(hours=24)]
    if today and len(today) < MOST_MARKS:
        return _heading(today, "in the last 24 hours")
    if len(marks) >= MOST_MARKS:
        return _heading(marks, "seen last")
    return _heading(marks, _range_words(query))


def _heading(marks: Sequence[Mark], when: str) -> Heading:
    judged = [mark for mark in marks if not mark.rollback_of]
    if not judged:
        return Heading(sentence=f"No deployment {when}.", under=[])
    worse = [mark for mark in judged if mark.state == State.WORSE]
    sentence = f"{_how_many(len(worse), len(judged), when, _place(judged))}{_still(worse)}."
    return Heading(sentence=sentence, under=_under(judged, worse))


def _range_words(query: Query) -> str:
    if query.since or query.until:
        return "in this time"
    return {"all": "so far"}.get(query.range, "in the " + filters.RANGES[query.range][0].lower())


def _place(marks: Sequence[Mark]) -> str:
    """`production`, or the one environment there is."""
    environments = {mark.environment for mark in marks}
    return next(iter(environments)) or "things" if len(environments) == 1 else "things"


def _how_many(worse: int, total: int, when: str, place: str) -> str:
    if total == 1:
        return f"The only deployment {when} {'made' if worse else 'is not known to have made'} {place} worse"
    if not worse:
        return f"None of {total} deployments {when} is known to have made {place} worse"
    return f"{worse} of {total} deployments {when} made {place} worse"


def _still(worse: Sequence[Mark]) -> str:
    if not worse:
        return ""
    serving = [mark for mark in worse if mark.status not in _GONE]
    if not serving:
        return "; none of them serves users now" if len(worse) > 1 else "; it no longer serves users"
    if len(serving) == 1:
        return f"; {serving[0].service} {serving[0].version} still serves users"
    return f"; {len(serving)} of them still serve users"


def _under(judged: Sequence[Mark], worse: Sequence[Mark]) -> list[str]:
    under = []
    if worse:
        last = max(worse, key=lambda mark: mark.started_at)
        after = ""
        if last.status == Status.ROLLED_BACK and last.finished_at:
            after = f", rolled back after {words.elapsed((last.finished_at - last.started_at).total_seconds())}"
        under.append(f"last one: {last.service} {last.version}{after}")
    open_now = [mark for mark in judged if mark.status == Status.IN_PROGRESS]
    if open_now:
        under.append("one is under way" if len(open_now) == 1 else f"{len(open_now)} are under way")
    return under


def row(record: Record, now: datetime) -> Row:
    """One line of the list."""
    deployment, verdict = record.deployment, record.verdict
    return Row(
        id=deployment.id,
        url=filters.deployment_link(deployment.id),
        state="rollback" if _is_plain_rollback(record) else (verdict.state.value if verdict else ""),
        state_words="rollback" if _is_plain_rollback(record) else state_words(verdict),
        service=deployment.service,
        environment=deployment.environment,
        version=deployment.version,
        previous=deployment.previous_version or "",
        sentence=_sentence(record),
        fate=fate(deployment, record.rollout, now),
        share=_share(deployment, record.rollout),
        is_live=deployment.status is Status.IN_PROGRESS,
        started_at=deployment.started_at,
        ago=words.ago(deployment.started_at, now),
        complaints=record.complaints,
    )


def _is_plain_rollback(record: Record) -> bool:
    """An old version coming back says nothing new, unless it was judged after all."""
    verdict = record.verdict
    return record.deployment.rollback_of is not None and (verdict is None or verdict.state is State.UNDECIDED)


def state_words(verdict: Verdict | None) -> str:
    """The word next to the shape."""
    return verdict.state.value.replace("_", " ") if verdict else "not judged"


def _sentence(record: Record) -> list[Part]:
    deployment, verdict = record.deployment, record.verdict
    if _is_plain_rollback(record):
        return [Part("text", f"Takes back {deployment.previous_version or 'the version before'}.")]
    if verdict is None:
        is_over = deployment.status is not Status.IN_PROGRESS
        return [Part("text", "Never judged." if is_over else "Waiting for requests of both versions.")]
    told = without_subject(verdict.sentence, deployment)
    if verdict.state is not State.UNDECIDED:
        told = headline_and_rest(told)[0] + "."
    return set_sentence(told[:1].upper() + told[1:], names_in(verdict))


def fate(deployment: Deployment, rollout: Rollout | None, now: datetime) -> str:
    """Where it got to: `rolled back after 1 min 43 s`, `10 % of traffic`, `100 %`."""
    if deployment.status is not Status.IN_PROGRESS:
        ended = deployment.finished_at
        after = f" after {words.elapsed((ended - deployment.started_at).total_seconds())}" if ended else ""
        return deployment.status.value.replace("_", " ") + after
    if rollout and rollout.state is RolloutState.PAUSED:
        return f"held at {words.percent(rollout.share, 2)}"
    share = _share(deployment, rollout)
    if share is not None:
        return f"{words.percent(share, 2)} of traffic"
    return "seen in telemetry" if deployment.source is Source.DETECTED else "under way"


def _share(deployment: Deployment, rollout: Rollout | None) -> float | None:
    if deployment.status is not Status.IN_PROGRESS:
        return None
    return rollout.share if rollout else deployment.traffic_share


_KEYS: dict[str, Callable[[Record], object]] = {
    "verdict": lambda record: _ORDER[record.verdict.state] if record.verdict else 9,
    "deployment": lambda record: (record.deployment.service, record.deployment.version),
    "fate": lambda record: record.deployment.status.value,
    "started": lambda record: record.deployment.started_at,
}


def _sorted(records: Sequence[Record], sort: str) -> list[Record]:
    name = sort.removeprefix("-")
    if name not in _KEYS:
        return list(records)
    return sorted(records, key=_KEYS[name], reverse=sort.startswith("-"))  # type: ignore[arg-type]


def _head(query: Query, name: str) -> SortLink:
    current = query.sort or "-started"
    first = f"-{name}" if name == "started" else name
    other = name if first.startswith("-") else f"-{name}"
    direction = {name: "ascending", f"-{name}": "descending"}.get(current, "none")
    following = other if current == first else first
    return SortLink(name=name, url=filters.link(query, sort=following), direction=direction)

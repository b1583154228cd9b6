"""The view of *Deployment*: the sentence, then everything it stands on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from onejob import words
from onejob.model.deployment import Deployment, Source, Status
from onejob.model.verdict import Verdict
from onejob.state.deployments import DeploymentRecord as Record
from onejob.store.rollup import SeriesPoint
from onejob.store.sessions import Sessions, crash_free
from onejob.verdict.before_after import KIND as BEFORE_AFTER
from onejob.verdict.signals import EVERYWHERE
from onejob.web.charts import histogram, over_time
from onejob.web.pages import evidence, explained, rollout, series, sure
from onejob.web.pages.evidence import Choice
from onejob.web.pages.listing import fate, state_words
from onejob.web.pages.sentence import Part, headline_and_rest, names_in, set_sentence

_CONTROLS = {"concurrent": "serving at the same time", BEFORE_AFTER: "its own past"}
_STRATEGY = {"all_at_once": "all at once", "blue_green": "blue-green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A label, its value and what is said quietly behind it; `url` makes the value a link."""

    label: str
    value: str
    quiet: str = ""
    url: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Both charts of the selected signal, and the table behind them."""

    state: str
    title_operation: str
    title_signal: str
    over_time: over_time.Chart | None
    distribution: histogram.Histogram | None
    table: list[series.TableRow]
    since: str
    control_name: str
    treatment_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything the template writes."""

    deployment: Deployment
    state: str
    state_words: str
    headline: list[Part]
    under: list[Part]
    facts: list[Fact]
    rollout: rollout.RolloutView | None
    evidence: evidence.Evidence | None
    charts: Charts | None
    explained: explained.Explained | None
    sure: sure.Sure | None
    waiting: list[str]
    verdict: Verdict | None


def view(
    record: Record,
    choice: Choice,
    points: Sequence[SeriesPoint],
    frame: series.Frame,
    opened: int,
    now: datetime,
    sessions: Sequence[Sessions] = (),
) -> Page:
    """Put together what the page shows; `points` are the selected operation's counts in the frame."""
    deployment, verdict = record.deployment, record.verdict
    claim, rest = headline_and_rest(verdict.sentence if verdict else "")
    return Page(
        deployment=deployment,
        state=verdict.state.value if verdict else "",
        state_words=state_words(verdict),
        headline=_headline(record, claim),
        under=set_sentence(" · ".join(_under(record, rest, now)), names_in(verdict, record.explanation)),
        facts=[*_facts(deployment, verdict, now), *_crash_free(deployment, sessions)],
        rollout=rollout.view(record.rollout, deployment, verdict, now) if record.rollout else None,
        evidence=evidence.view(verdict, choice) if verdict and verdict.signals else None,
        charts=_charts(record, choice, points, frame, now),
        explained=explained.view(record.explanation, opened) if record.explanation else None,
        sure=sure.view(verdict, evidence.selected(verdict, choice)) if verdict and verdict.signals else None,
        waiting=_waiting(deployment, verdict),
        verdict=verdict,
    )


def _headline(record: Record, claim: str) -> list[Part]:
    deployment, verdict = record.deployment, record.verdict
    if verdict is None or not claim:
        return [Part("text", f"{deployment.service} {deployment.version} is not judged yet.")]
    return [*set_sentence(claim, names_in(verdict, record.explanation)), Part("text", ".")]


def _under(record: Record, rest: str, now: datetime) -> list[str]:
    """First visible when, what came of it, and what the sentence said after its first semicolon."""
    deployment, verdict = record.deployment, record.verdict
    said = []
    began = deployment.first_seen_at or deployment.started_at
    if verdict and verdict.first_visible_at and "first visible" not in rest:
        said.append(f"first visible {_after(began, verdict.first_visible_at)} after the first request")
    if verdict and verdict.decided_at:
        said.append(f"known {_after(began, verdict.decided_at)} after it")
    if deployment.status is Status.ROLLED_BACK and deployment.finished_at and verdict and verdict.decided_at:
        said.append(f"rolled back {_after(verdict.decided_at, deployment.finished_at)} after the verdict")
    elif not (record.rollout and deployment.status is Status.IN_PROGRESS):
        said.append(fate(deployment, record.rollout, now))
    return [*said, rest] if rest else said


def _after(begin: datetime, end: datetime) -> str:
    return words.elapsed((end - begin).total_seconds())


def _facts(deployment: Deployment, verdict: Verdict | None, now: datetime) -> list[Fact]:
    facts = [
        Fact(
            label="Version",
            value=f"{deployment.previous_version or '?'} → {deployment.version}",
            url=safe_url(deployment.url),
        ),
        Fact(label="Strategy", value=_STRATEGY.get(deployment.strategy.value, deployment.strategy.value)),
    ]
    if verdict and verdict.control:
        versions = words.shorten(", ".join(verdict.control.versions), 40)
        quiet = _CONTROLS.get(verdict.control.kind, verdict.control.kind)
        facts.append(Fact(label="Control", value=versions, quiet=quiet))
    who = f"by {deployment.actor}" if deployment.actor else _noticed(deployment)
    facts.append(
        Fact(
            label="Started",
            value=words.day_and_clock(deployment.started_at, now),
            quiet=who,
            moment=deployment.started_at,
        )
    )
    if deployment.finished_at:
        ended = deployment.finished_at
        facts.append(
            Fact(
                label="Ended",
                value=words.day_and_clock(ended, now),
                quiet=deployment.status.value.replace("_", " "),
                moment=ended,
            )
        )
    return facts


def _crash_free(deployment: Deployment, sessions: Sequence[Sessions]) -> list[Fact]:
    """Of the new version, and of the one before it."""
    of = {one.version: one for one in sessions}
    if deployment.version not in of:
        return []
    before = of.get(deployment.previous_version or "")
    return [
        Fact(
            label="Sessions without a crash",
            value=words.percent(crash_free(of[deployment.version]).share, 4),
            quiet=_of_sessions(of[deployment.version])
            + (f"; before {words.percent(crash_free(before).share, 4)} {_of_sessions(before)}" if before else ""),
        )
    ]


def _of_sessions(of: Sessions) -> str:
    interval = crash_free(of)
    return f"of {words.count(of.sessions)} ({words.percent(interval.low)} to {words.percent(interval.high)})"


def _noticed(deployment: Deployment) -> str:
    return "seen in telemetry" if deployment.source is Source.DETECTED else "reported"


def safe_url(url: str | None) -> str:
    """Links come from whoever reports a deployment: only the web's own schemes are followed."""
    try:
        return url if url and urlsplit(url).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def _charts(
    record: Record, choice: Choice, points: Sequence[SeriesPoint], frame: series.Frame, now: datetime
) -> Charts | None:
    chosen = evidence.selected(record.verdict, choice)
    if chosen is None:
        return None
    deployment, verdict = record.deployment, record.verdict
    arms = series.by_arm(points, deployment, verdict)
    window = series.compared(deployment, verdict, now)
    control = verdict.control.versions if verdict and verdict.control else ()
    old = words.shorten(", ".join(control) or deployment.previous_version or "others", 24)
    names = (f"{old} (control)", words.shorten(deployment.version, 24))
    chart = series.over_time_chart(arms, chosen.signal, frame, deployment, verdict, record.rollout, names, now)
    if chart is None:
        return None
    return Charts(
        state=chosen.state.value,
        title_operation="All requests" if evidence.charted_operation(chosen) == EVERYWHERE else chosen.operation,
        title_signal="requests" if series.is_of_requests(chosen) else words.signal_name(chosen.signal),
        over_time=chart,
        distribution=series.distribution(arms, chosen, window),
        table=series.table(arms, chosen.signal, frame),
        since=words.clock(window[0]),
        control_name=old,
        treatment_name=names[1],
    )


def _waiting(deployment: Deployment, verdict: Verdict | None) -> list[str]:
    """What a deployment without evidence still needs, in order."""
    if verdict and verdict.signals:
        return []
    if verdict and verdict.reason and verdict.reason.value == "no_control":
        return [
            "No other version served at the same time, so there is nothing to compare with.",
            "Ship the next version as a canary, rolling or blue-green: while both versions serve, they are compared.",
        ]
    return [
        f"Waiting for traces of {deployment.service} with service.version “{deployment.version}”.",
        f"They are compared with {deployment.previous_version or 'the version before'} as long as both serve.",
    ]

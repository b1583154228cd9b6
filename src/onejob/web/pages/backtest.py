"""*Backtest*: what onejob would have said of the deployments of the past, as a table that leads with the worst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from onejob import words
from onejob.history.jobs import Job
from onejob.model.backtest import Backtest, BacktestedDeployment, Saved
from onejob.model.verdict import State
from onejob.web.pages import filters
from onejob.web.pages.render import render
from onejob.web.pages.sentence import Part, names_in, set_sentence, without_subject

RANGES = {"7": "7 days", "30": "30 days", "90": "90 days"}
_STATIC = Path(__file__).resolve().parent.parent / "static"
_ORDER = (State.WORSE, State.BETTER, State.NO_WORSE, State.UNDECIDED)
_STATES = {State.WORSE: "worse", State.BETTER: "better", State.NO_WORSE: "no worse", State.UNDECIDED: "undecided"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A deployment of the report. `url` leads to its own page where onejob knows it."""

    state: str
    words: str
    service: str
    version: str
    previous: str
    environment: str
    url: str
    started_at: datetime
    after: str
    sentence: Sequence[Part]
    saved: str
    said_then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The page. `report` is None while there is none; `progress` is said while one is being made."""

    title: str
    under: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str]
    progress: str
    trouble: str
    file: str
    json: str


def view(report: Backtest | None, job: Job | None, *, is_ours: bool = True) -> View:
    """The newest report, and the one that is being made. `is_ours`: its deployments may have pages of their own."""
    return View(
        title=_title(report),
        under=list(_under(report)) if report else [],
        rows=[_row(one, is_ours) for one in _worst_first(report.deployments)] if report else [],
        notes=report.notes if report else [],
        progress=_progress(job) if job and job.state == "running" else "",
        trouble=job.error if job and job.state == "failed" else "",
        file=f"/backtest/{report.id}.html" if report and is_ours else "",
        json=f"/api/v1/backtests/{report.id}" if report and is_ours else "",
    )


def standalone(report: Backtest, now: datetime) -> str:
    """The report as one file that needs no server."""
    css = (_STATIC / "onejob.css").read_text()
    return render("backtest_file.html", now=now, view=view(report, None, is_ours=False), css=css)


def _title(report: Backtest | None) -> str:
    if report is None:
        return "What would onejob have said?"
    worse = sum(one.verdict.state is State.WORSE for one in report.deployments)
    total = words.plural(len(report.deployments), "deployment")
    return f"onejob would have called {worse} of {total} worse"


def _under(report: Backtest) -> Iterator[str]:
    yield f"{words.absolute(report.since)} to {words.absolute(report.until)}"
    yield f"{words.plural(len(report.services), 'service')} in {report.source}"
    states = [one.verdict.state for one in report.deployments]
    yield ", ".join(f"{states.count(state)} {_STATES[state]}" for state in _ORDER)
    savings = [one.saved for one in report.deployments if one.saved]
    if savings:
        yield f"it would have spared users {_total(savings)}"


def _total(savings: Sequence[Saved]) -> str:
    total = Saved(
        since=savings[0].since,
        until=savings[0].until,
        ended="",
        requests=sum(one.requests for one in savings),
        failed=sum(one.failed for one in savings),
        waited_s=sum(one.waited_s for one in savings),
    )
    return _saved(total)


def _worst_first(judged: Sequence[BacktestedDeployment]) -> list[BacktestedDeployment]:
    newest = sorted(judged, key=lambda one: one.deployment.started_at, reverse=True)
    return sorted(newest, key=lambda one: _ORDER.index(one.verdict.state))


def _row(one: BacktestedDeployment, is_ours: bool) -> Row:
    deployment, verdict = one.deployment, one.verdict
    return Row(
        state=str(verdict.state),
        words=_STATES[verdict.state],
        service=deployment.service,
        version=deployment.version,
        previous=deployment.previous_version or "",
        environment=deployment.environment,
        url=filters.deployment_link(deployment.id) if is_ours and one.said_then is not None else "",
        started_at=deployment.started_at,
        after=words.elapsed(one.decided_after_s) if one.decided_after_s is not None else "",
        sentence=set_sentence(without_subject(verdict.sentence, deployment), names_in(verdict)),
        saved=_saved(one.saved) if one.saved else "",
        said_then=_STATES[one.said_then] if one.said_then else "",
    )


def _saved(saved: Saved) -> str:
    told = [f"{words.plural(saved.requests, 'request')} to it"]
    if saved.failed:
        told.append(words.plural(saved.failed, "failure"))
    if saved.waited_s >= 1:
        told.append(f"{words.elapsed(saved.waited_s)} of waiting")
    return ", ".join(told)


def _progress(job: Job) -> str:
    if job.kind != "backtest":
        return f"A calibration of {job.what} is at work: a backtest can be started when it has ended."
    if not job.of:
        return "Looking for deployments ..."
    return f"{job.done} of {words.plural(job.of, 'service')}, {words.plural(job.judged, 'deployment')} judged ..."

"""The addresses of the pages. Each handler asks `PageData`, builds a view and renders it; nothing else."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from onejob.model.verdict import SignalResult
from onejob.state.deployments import DeploymentRecord as Record
from onejob.state.errors import BadCursorError
from onejob.store.rollup import SeriesPoint
from onejob.web.caller import caller_of
from onejob.web.charts import spark
from onejob.web.pages import (
    complaints,
    customers,
    downloads,
    errors,
    evidence,
    filters,
    forms,
    listing,
    live,
    series,
    snippets,
)
from onejob.web.pages import deployment as deployment_view
from onejob.web.pages.data import CommandRefused, PageData
from onejob.web.pages.evidence import Choice
from onejob.web.pages.frame import THEMES, framed, theme_of
from onejob.web.pages.render import render
from onejob.web.places import see_other, url_of
from onejob.web.who import principal_of

_ROWS = 25
_CSV = downloads.CSV

router = APIRouter(include_in_schema=False)


def page_data(request: Request) -> PageData:
    """The product as the pages see it, put there by `create_app`."""
    data: PageData = request.app.state.page_data
    return data


Data = Annotated[PageData, Depends(page_data)]


def show(request: Request, data: PageData, template: str, **values: object) -> HTMLResponse:
    """The rendered template."""
    projects = data.projects(principal_of(request))
    html = framed(request, template, data.now(), projects, **values)
    return HTMLResponse(html, headers={"cache-control": "no-cache"})


@router.get("/")
@router.get("/deployments")
def deployments(request: Request, data: Data) -> HTMLResponse:
    """*Deployments*; what to do next where there are none."""
    query = filters.parse(request.query_params)
    now = data.now()
    wanted = filters.wanted(query, now)
    try:
        page = data.page(wanted, _ROWS, query.cursor or None)
    except BadCursorError:
        return show(
            request, data, "message.html", title="This page of the list does not exist", back=filters.link(query)
        )
    if not page.items and not data.has_deployments():
        return _nothing_yet(request, data)
    marks = data.marks(wanted, listing.MOST_MARKS) if page.items else ()
    view = listing.view(query, page, marks, data.choices(), now)
    return show(request, data, "deployments.html", view=view, query=query)


def _nothing_yet(request: Request, data: PageData) -> HTMLResponse:
    telemetry = data.telemetry()
    language = request.query_params.get("language", "python")
    base = url_of(request)
    service = telemetry.services[0] if telemetry.services else "checkout"
    return show(
        request,
        data,
        "nothing_yet.html",
        telemetry=telemetry,
        snippets=snippets.snippets(telemetry.otlp_http),
        language=language if language in snippets.LANGUAGES else "python",
        with_curl=snippets.report_with_curl(base, _plain(service)),
        with_cli=snippets.report_with_cli(base, _plain(service)),
    )


def _plain(service: str) -> str:
    """A service's name is a stranger's text; only a harmless one is put into a command to copy."""
    return service if service.replace("-", "").replace("_", "").replace(".", "").isalnum() else "checkout"


@router.get("/deployments.csv")
def deployments_csv(request: Request, data: Data) -> StreamingResponse:
    """The list as CSV, with the page's filters."""
    wanted = filters.wanted(filters.parse(request.query_params), data.now())
    headers = {"content-disposition": 'attachment; filename="deployments.csv"'}
    return StreamingResponse(downloads.deployments(data, wanted), media_type=_CSV, headers=headers)


def _record(data: PageData, deployment_id: str) -> Record:
    record = data.record(deployment_id)
    if record is None:
        raise HTTPException(404, "There is no such deployment.")
    return record


def _choice(values: Mapping[str, str]) -> Choice:
    return Choice(
        operation=values.get("operation", ""),
        signal=values.get("signal", ""),
        sort=values.get("sort", ""),
        all_rows=values.get("all", "") == "1",
    )


@router.get("/deployments/{deployment_id}")
def deployment(request: Request, data: Data, deployment_id: str) -> HTMLResponse:
    """*Deployment*."""
    record = data.record(deployment_id)
    if record is None:
        page = show(request, data, "message.html", title="There is no such deployment", back="/deployments")
        page.status_code = 404
        return page
    now, choice = data.now(), _choice(request.query_params)
    frame = series.frame(record.deployment, record.verdict, now, data.bin_width_s())
    chosen = evidence.selected(record.verdict, choice)
    points = _series(data, record, chosen, frame) if chosen else ()
    opened = request.query_params.get("trace", "0")
    trace, sessions = int(opened) if opened.isdecimal() else 0, data.sessions(record.deployment)
    view = deployment_view.view(record, choice, points, frame, trace, now, sessions)
    notice = _NOTICES.get(request.query_params.get("said", ""), "")
    new = errors.new_in(record.deployment, data.errors, now)
    affected = customers.section(data.customers_of(record.deployment))
    said = complaints.of_deployment(record, data)
    return show(
        request, data, "deployment.html", view=view, notice=notice, new=new, customers=affected, complaints=said
    )


def _series(data: PageData, record: Record, chosen: SignalResult, frame: series.Frame) -> Sequence[SeriesPoint]:
    operation = evidence.charted_operation(chosen)
    return data.series(record.deployment, operation, frame.since, frame.until, frame.step_s)


_NOTICES = {
    "same": "Recomputed from its stored counts: the verdict is the same.",
    "differs": "Recomputed from its stored counts: the result differs from the stored verdict. Please report this.",
    "promote": "Promotion asked for.",
    "hold": "Held: it stays at this share until it is resumed.",
    "resume": "Resumed.",
    "abort": "Abort asked for: traffic goes back to the old version.",
    "given_up": "Ended without waiting for its router.",
}


@router.get("/deployments/{deployment_id}/evidence.csv")
def evidence_csv(data: Data, deployment_id: str) -> Response:
    """Every signal as CSV."""
    verdict = _record(data, deployment_id).verdict
    text = downloads.evidence(verdict.signals if verdict else ())
    return Response(text, media_type=_CSV, headers={"content-disposition": 'attachment; filename="evidence.csv"'})


@router.get("/deployments/{deployment_id}/spark.svg")
def sparkline(data: Data, deployment_id: str) -> Response:
    """The worst signal before and after; a file of its own, so that the list never waits for the engine."""
    record, now = _record(data, deployment_id), data.now()
    chosen = evidence.selected(record.verdict, Choice())
    drawn = spark.Spark(before="", after="")
    if chosen is not None:
        frame = series.frame(record.deployment, record.verdict, now, data.bin_width_s(), points=30)
        points = _series(data, record, chosen, frame)
        arms = series.by_arm(points, record.deployment, record.verdict)
        lines = {arm.value: series.values(one, chosen.signal, frame) for arm, one in arms.items()}
        drawn = spark.draw(lines["control"], lines["treatment"])
    is_over = record.deployment.finished_at is not None and now - record.deployment.finished_at > timedelta(hours=1)
    age = 86_400 if is_over else 5
    svg = render("spark.svg", now=now, spark=drawn)
    return Response(svg, media_type="image/svg+xml", headers={"cache-control": f"private, max-age={age}"})


@router.post("/deployments/{deployment_id}/rollout/{command}")
def rollout_command(
    request: Request,
    data: Data,
    deployment_id: str,
    command: Literal["promote", "hold", "resume", "abort"],
    router_is_gone: bool = False,
) -> Response:
    """A button under the rollout bar."""
    record = _record(data, deployment_id)
    if record.rollout is None:
        raise HTTPException(404, "This deployment has no rollout.")
    by = caller_of(request, data.audit)
    actor = by.actor(None, "web page")
    try:
        with by.doing("rollout.command", record.rollout.id, command, actor):
            data.command(record.rollout.id, command, actor, router_is_gone=router_is_gone)
    except CommandRefused as refusal:
        return _refused(request, data, deployment_id, refusal)
    said = "given_up" if router_is_gone else command
    return see_other(request, filters.deployment_link(deployment_id, said=said))


def _refused(request: Request, data: PageData, deployment_id: str, refusal: CommandRefused) -> HTMLResponse:
    page = show(request, data, "message.html", title=str(refusal), back=filters.deployment_link(deployment_id))
    page.status_code = 409
    return page


@router.post("/deployments/{deployment_id}/recompute")
def recompute(request: Request, data: Data, deployment_id: str) -> Response:
    """Compute the verdict again from its stored counts and say whether it is the same."""
    _record(data, deployment_id)
    try:
        said = "same" if data.recompute(deployment_id) else "differs"
    except CommandRefused as refusal:
        return _refused(request, data, deployment_id, refusal)
    return see_other(request, filters.deployment_link(deployment_id, said=said) + "#sure")


@router.post("/theme")
def theme(request: Request) -> RedirectResponse:
    """Automatic, dark, light, and around again; scripts set the same cookie without asking."""
    following = THEMES[theme_of(request)]
    response = forms.back_to(request, request.query_params.get("back"))
    response.set_cookie("theme", following, max_age=31_536_000, samesite="strict")
    return response


@router.get("/events")
async def events(data: Data, deployment: str = "", telemetry: bool = False) -> StreamingResponse:
    """What changed, as it changes."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(live.stream(data, deployment, telemetry), media_type="text/event-stream", headers=headers)

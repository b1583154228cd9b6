"""`onejob deployment`: report deployments from a pipeline, and look at what is known of them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.lookup import Which, deployment_id
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url, read_share, read_time
from onejob.cli.output import (
    ago,
    in_words,
    is_terminal,
    moment,
    note,
    print_fields,
    print_json,
    print_table,
    share,
    verdict_mark,
)
from onejob.cli.rollout import where_it_is
from onejob.cli.signals import HEADINGS, signal_rows

app = typer.Typer(no_args_is_help=True, help="Report deployments, and look at them.", rich_markup_mode=None)
PATH = "api/v1/deployments"
COLUMNS = ("id", "verdict", "service", "version", "environment", "started", "sentence")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the id and nothing else.")]
At = Annotated[str | None, typer.Option("--finished-at", help="ISO 8601; now unless said.")]
Commit = Annotated[str | None, typer.Option(help="The commit it was built from.")]
Repository = Annotated[str | None, typer.Option(help="Where that commit is.")]
Actor = Annotated[str | None, typer.Option(help="Who, or which pipeline, deploys.")]
RunUrl = Annotated[str | None, typer.Option("--run-url", help="Link to the pipeline's run.")]
Share = Annotated[str | None, typer.Option("--traffic-share", help="Share of the traffic it gets now: 0.1 or 10%.")]


@app.command()
def start(
    service: Annotated[str, typer.Argument(help="As service.name in its telemetry.")],
    version: Annotated[str, typer.Argument(help="As service.version in its telemetry.")],
    environment: Environment = None,
    previous_version: Annotated[
        str | None, typer.Option(help="What it replaces; unless said, what serves now.")
    ] = None,
    strategy: Annotated[
        Literal["canary", "rolling", "blue_green", "all_at_once"] | None, typer.Option(help="How traffic moves.")
    ] = None,
    commit: Commit = None,
    repository: Repository = None,
    actor: Actor = None,
    run_url: RunUrl = None,
    started_at: Annotated[str | None, typer.Option(help="ISO 8601; now unless said.")] = None,
    finished_at: Annotated[str | None, typer.Option(help="ISO 8601, if it is over already.")] = None,
    traffic_share: Share = None,
    quiet: Quiet = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Report that a version starts to get traffic. Prints the deployment's id; reporting it twice is one deployment."""
    body = {
        "service": service,
        "version": version,
        "environment": environment,
        "previous_version": previous_version,
        "strategy": strategy,
        "commit": commit,
        "repository": repository,
        "actor": actor,
        "url": run_url,
        "started_at": read_time(started_at, "--started-at"),
        "finished_at": read_time(finished_at, "--finished-at"),
        "traffic_share": read_share(traffic_share),
    }
    said = {name: value for name, value in body.items() if value is not None}
    _print_report(Api(url).post(PATH, said, is_repeatable=True), quiet=quiet, as_json=as_json)


@app.command()
def progress(
    which: Which,
    traffic_share: Share = None,
    environment: Environment = None,
    quiet: Quiet = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Report which share of the traffic it gets now."""
    if traffic_share is None:
        raise UsageError("Say which share of the traffic it gets now: --traffic-share 10%.")
    body = {"traffic_share": read_share(traffic_share)}
    _report(url, which, environment, body, quiet=quiet, as_json=as_json)


@app.command()
def finish(
    which: Which,
    environment: Environment = None,
    finished_at: At = None,
    quiet: Quiet = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Report that it is done: all traffic is on the new version."""
    body = {"status": "finished", "finished_at": read_time(finished_at, "--finished-at")}
    _report(url, which, environment, body, quiet=quiet, as_json=as_json)


@app.command()
def fail(
    which: Which,
    environment: Environment = None,
    rolled_back: Annotated[
        bool, typer.Option("--rolled-back", help="It had traffic, and the old version has it again.")
    ] = False,
    finished_at: At = None,
    quiet: Quiet = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Report that it failed, or with --rolled-back that it was taken back."""
    status = "rolled_back" if rolled_back else "failed"
    body = {"status": status, "finished_at": read_time(finished_at, "--finished-at")}
    _report(url, which, environment, body, quiet=quiet, as_json=as_json)


@app.command("list")
def list_(
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    environment: Environment = None,
    verdict: Annotated[
        Literal["worse", "better", "no_worse", "undecided"] | None, typer.Option(help="Only with this verdict.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only of this actor.")] = None,
    source: Annotated[Literal["reported", "detected"] | None, typer.Option(help="Only noticed like this.")] = None,
    since: Annotated[str | None, typer.Option(help="Started at or after; ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Started before; ISO 8601.")] = None,
    text: Annotated[str | None, typer.Option(help="In service, version, actor or commit.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List deployments, newest first. On a terminal a table, elsewhere lines with tabs."""
    chosen = {"service": service, "environment": environment, "verdict": verdict, "actor": actor, "source": source}
    times = {"since": read_time(since, "--since"), "until": read_time(until, "--until")}
    view = None if as_json else "summary"
    page = Api(url).get(PATH, **chosen, **times, text=text, limit=limit, cursor=cursor, view=view)
    if as_json:
        print_json(page)
        return
    _print_list(page.get("items") or [])
    if page.get("next_cursor"):
        note(f"There are more: --cursor {page['next_cursor']}")


@app.command()
def show(which: Which, environment: Environment = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show a deployment with its rollout and its verdict."""
    api = Api(url)
    document = api.get(f"{PATH}/{deployment_id(api, which, environment)}")
    if as_json:
        print_json(document)
        return
    print_deployment(document, api.shown_url)


def print_deployment(document: Document, server_url: str) -> None:
    """The sentence first, then the facts, then the evidence."""
    verdict, now = document.get("verdict") or {}, datetime.now(UTC)
    print_fields(
        [
            ("verdict", f"{verdict_mark(verdict)}: {verdict.get('sentence', '')}"),
            *((name, document.get(name)) for name in ("service", "environment", "version")),
            ("previous version", document.get("previous_version")),
            *((name, in_words(document.get(name))) for name in ("strategy", "source", "status")),
            ("started", moment(document.get("started_at"), now)),
            ("finished", moment(document.get("finished_at"), now)),
            ("traffic share", share(document.get("traffic_share"))),
            *((name, document.get(name)) for name in ("commit", "repository", "actor", "url")),
            ("rollout", where_it_is(document["rollout"]) if document.get("rollout") else None),
            *(("note", sentence) for sentence in document.get("notes") or ()),
            ("page", f"{server_url}/deployments/{document.get('id')}"),
            ("id", document.get("id")),
        ]
    )
    rows = signal_rows(verdict.get("signals") or [])
    if rows:
        print_table(HEADINGS, rows)


def _report(url: str, which: list[str], environment: str | None, body: Document, *, quiet: bool, as_json: bool) -> None:
    api = Api(url)
    said = {name: value for name, value in body.items() if value is not None}
    found = api.patch(f"{PATH}/{deployment_id(api, which, environment)}", said)
    _print_report(found, quiet=quiet, as_json=as_json)


def _print_report(document: Document, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    print(document["id"], flush=True)
    if quiet:
        return
    previous = document.get("previous_version")
    note(
        f"{document.get('service')} {document.get('version')} in {document.get('environment')}: "
        f"{in_words(document.get('status'))}" + (f", after {previous}" if previous else "")
    )
    for sentence in document.get("notes") or ():
        note(sentence)


def _print_list(items: list[Document]) -> None:
    """To a person by name; to a script with the id, which names one of several deployments of a version."""
    if not items:
        note("No deployment fits. Report one with `onejob deployment start`, or ask for more with fewer options.")
    now = datetime.now(UTC)
    rows = [_row(item, now) for item in items]
    if is_terminal():
        print_table(COLUMNS[1:], [row[1:] for row in rows])
    else:
        print_table(COLUMNS, rows)


def _row(document: Document, now: datetime) -> tuple[str, ...]:
    verdict = document.get("verdict") or {}
    previous = document.get("previous_version")
    return (
        str(document.get("id", "")),
        verdict_mark(verdict),
        str(document.get("service", "")),
        f"{document.get('version')}" + (f" <- {previous}" if previous else ""),
        str(document.get("environment", "")),
        ago(document.get("started_at"), now),
        str(verdict.get("sentence", "")),
    )

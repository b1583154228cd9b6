"""`onejob errors`: errors and log messages that telemetry has shown, and what is said of them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.lookup import path_part
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url, local_user
from onejob.cli.output import ago, clean, moment, note, print_fields, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Errors and log messages, since when and where.", rich_markup_mode=None)
PATH = "api/v1/errors"
_LEVELS = {"all": 0, "warn": 13, "error": 17}

Id = Annotated[str, typer.Argument(metavar="ID", help="As `onejob errors list` shows it.", show_default=False)]
Actor = Annotated[str | None, typer.Option(help="Who says so; kept. Unless said, the name of the local user.")]


@app.command("list")
def list_(
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    environment: Environment = None,
    version: Annotated[str | None, typer.Option(help="Only what this version showed.")] = None,
    new_in: Annotated[str | None, typer.Option(help="Only what this version showed before any other.")] = None,
    status: Annotated[
        Literal["new", "ongoing", "resolved", "regressed"] | None, typer.Option(help="Only those.")
    ] = None,
    kind: Annotated[Literal["error", "log_template"] | None, typer.Option(help="Exceptions, or log messages.")] = None,
    level: Annotated[Literal["all", "warn", "error"], typer.Option(help="Log messages from this level on.")] = "warn",
    text: Annotated[str | None, typer.Option(help="Words in title, message, stack trace, line, service or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List them, those seen last first."""
    document = Api(url).get(
        PATH,
        service=service,
        environment=environment,
        version=version,
        new_in=new_in,
        status=status,
        kind=kind,
        least_severity=_LEVELS[level],
        text=text,
        limit=limit,
    )
    if as_json:
        print_json(document)
        return
    now = datetime.now(UTC)
    headings = ("id", "status", "service", "error", "last day", "first in", "first seen", "last seen")
    print_table(headings, [_row(error, now) for error in document["items"]])
    if document["next_cursor"]:
        note(f"There are more than {limit}: narrow them down, or ask for more with --limit.")


@app.command()
def show(error_id: Id, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show one: its stack or line, an example, its versions and how often they showed it."""
    error = Api(url).get(f"{PATH}/{path_part(error_id)}")
    if as_json:
        print_json(error)
        return
    _print(error)
    if error["counts"] is not None:
        for version, count in _by_version(error).items():
            print(f"  {clean(version) or '(no version)'}  {words.count(count)} in the last 7 days")
    print()
    print("\n".join(clean(line) for line in error["sample"].splitlines()))


@app.command()
def resolve(
    error_id: Id,
    version: Annotated[str | None, typer.Option(help="It is gone in; unless said, the newest.")] = None,
    next_version: Annotated[bool, typer.Option("--next-version", help="It is gone in whichever comes next.")] = False,
    actor: Actor = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Say that it is gone.

    Seen again in a version that is not older than the one it is gone in, it is told as regressed.
    """
    if version is not None and next_version:
        raise UsageError("--version and --next-version contradict each other: say one of them.")
    body = {"actor": actor or local_user(), "version": version, "in_next_version": next_version}
    _said(Api(url).post(f"{PATH}/{path_part(error_id)}/resolve", body, is_repeatable=True), as_json)


@app.command()
def reopen(error_id: Id, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Say that it is not gone."""
    body = {"actor": actor or local_user()}
    _said(Api(url).post(f"{PATH}/{path_part(error_id)}/reopen", body, is_repeatable=True), as_json)


def _said(error: Document, as_json: bool) -> None:
    if as_json:
        print_json(error)
    else:
        _print(error)


def _row(error: Document, now: datetime) -> tuple[object, ...]:
    return (
        error["id"],
        error["status"],
        error["service"],
        error["title"],
        "" if error["last_day"] is None else words.count(error["last_day"]),
        error["first_version"],
        ago(error["first_seen_at"], now),
        ago(error["last_seen_at"], now),
    )


def _print(error: Document) -> None:
    now = datetime.now(UTC)
    gone_in = error["resolved_in"] or "the next version"
    again = f"{moment(error['regressed_at'], now)} in {error['regressed_in']}"
    print_fields(
        [
            ("error", error["title"]),
            ("message", error["message"]),
            ("service", f"{error['service']} in {error['environment']}"),
            ("status", error["status"]),
            ("first seen", f"{moment(error['first_seen_at'], now)} in {error['first_version']}"),
            ("last seen", f"{moment(error['last_seen_at'], now)} in {error['last_version']}"),
            ("resolved", f"in {gone_in} by {error['resolved_by']}" if error["resolved_at"] else None),
            ("seen again", again if error["regressed_at"] else None),
            ("last day", error["last_day"]),
            ("example trace", error["trace_id"]),
            ("id", error["id"]),
        ]
    )


def _by_version(error: Document) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in error["counts"]:
        totals[one["version"]] = totals.get(one["version"], 0) + one["count"]
    return totals

"""`onejob project`: teams on one server that see nothing of one another, for admins."""

from typing import Annotated, Any, Literal

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.lookup import name_part
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_json, print_table

app = typer.Typer(
    no_args_is_help=True, help="Teams on one server that see nothing of one another.", rich_markup_mode=None
)
PATH = "api/v1/projects"
_PATIENCE_S = 120.0  # what runs is ended before it is changed or removed
_SERVERS = "server"  # says that a limit is to be the server's again

Name = Annotated[str, typer.Argument(help="Of the project.", show_default=False)]
Traces = Annotated[str | None, typer.Option(help="Days that spans are kept.", metavar="DAYS|server")]
Rollup = Annotated[
    str | None, typer.Option(help="Days that the counts are kept that verdicts are made of.", metavar="DAYS|server")
]
Logs = Annotated[str | None, typer.Option(help="Days that log records are kept.", metavar="DAYS|server")]
Metrics = Annotated[str | None, typer.Option(help="Days that data points are kept.", metavar="DAYS|server")]
Customers = Annotated[str | None, typer.Option(help="Days that counts per customer are kept.", metavar="DAYS|server")]
Spool = Annotated[
    str | None,
    typer.Option(help="Size of what waits to be stored at which more is refused.", metavar="BYTES|server"),
]


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List all projects but `default`, and who belongs to each."""
    document = Api(url).get(PATH)
    if as_json:
        print_json(document)
        return
    rows = [(one["name"], _state(one), _limits(one), _members(one)) for one in document["items"]]
    print_table(("name", "state", "own limits", "members"), rows)


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(help="Small letters, digits and -, a letter first; 32 at most.", show_default=False)
    ],
    traces: Traces = None,
    rollup: Rollup = None,
    logs: Logs = None,
    metrics: Metrics = None,
    customers: Customers = None,
    spool: Spool = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Make a project. It is at /p/NAME of the server; telemetry finds it by its ingest tokens."""
    api = Api(url, read_timeout_s=_PATIENCE_S)
    limits = _read(traces, rollup, logs, metrics, customers, spool)
    document = api.post(PATH, {"name": name} | limits)
    _print(document, as_json)
    if not as_json:
        note(f"ONEJOB_URL={api.shown_url}/p/{document['name']}")


@app.command("set")
def set_(
    name: Name,
    traces: Traces = None,
    rollup: Rollup = None,
    logs: Logs = None,
    metrics: Metrics = None,
    customers: Customers = None,
    spool: Spool = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Change how long a project keeps what; `server` is what the server says."""
    limits = _read(traces, rollup, logs, metrics, customers, spool)
    if not limits:
        raise UsageError("Say what is to change, such as --traces 3.")
    _print(Api(url, read_timeout_s=_PATIENCE_S).patch(f"{PATH}/{name_part(name)}", limits), as_json)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, delete its telemetry and its facts for good.")] = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Remove a project with everything in it. Its tokens open nothing from now on."""
    if not yes:
        raise UsageError(f"This deletes all telemetry and all facts of {name}, for good: say --yes if you want that.")
    _print(Api(url, read_timeout_s=_PATIENCE_S).delete(f"{PATH}/{name_part(name)}"), as_json)


@app.command()
def member(
    name: Name,
    user: Annotated[str, typer.Argument(help="As they log in.", show_default=False)],
    role: Annotated[
        Literal["viewer", "developer", "operator", "admin", "none"],
        typer.Argument(help="What they may do there; none: they do not belong to it.", show_default=False),
    ],
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Say what a user may do in a project, from now on."""
    api, path = Api(url), f"{PATH}/{name_part(name)}/members/{name_part(user)}"
    _print(api.delete(path) if role == "none" else api.put(path, {"role": role}), as_json)


def _read(
    traces: str | None, rollup: str | None, logs: str | None, metrics: str | None, customers: str | None,
    spool: str | None,
) -> dict[str, int | None]:  # fmt: skip
    days = {"traces": traces, "rollup": rollup, "logs": logs, "metrics": metrics, "customer": customers}
    said = {f"{what}_retention_days": text for what, text in days.items()} | {"spool_max_bytes": spool}
    return {name: _number(text) for name, text in said.items() if text is not None}


def _number(text: str) -> int | None:
    if text == _SERVERS:
        return None
    if not text.isdecimal():
        raise UsageError(f"{text!r} is no limit: write a whole number, or `{_SERVERS}`.")
    return int(text)


def _print(project: Document, as_json: bool) -> None:
    if as_json:
        print_json(project)
        return
    print("\t".join((project["name"], _state(project), _limits(project), _members(project))).rstrip())


def _state(project: Document) -> str:
    state = "is being removed" if project["removed_at"] else "runs" if project["running"] else "does not run"
    return f"{state}: {project['trouble']}" if project["trouble"] else state


def _limits(project: Document) -> str:
    own: dict[str, Any] = {name: limit for name, limit in project["limits"].items() if limit is not None}
    return ", ".join(f"{name} {limit}" for name, limit in own.items())


def _members(project: Document) -> str:
    return ", ".join(f"{name} ({role})" for name, role in project["members"].items())

"""`onejob audit`: the audit log, taken along and checked on this machine, not by the server that keeps it."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from onejob.cli.client import Api
from onejob.cli.errors import CliError, UnknownError, UsageError
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import print_json
from onejob.model.audit import AuditEntry, BrokenChainError, Head, follow, read_head

app = typer.Typer(no_args_is_help=True, help="Who did what.", rich_markup_mode=None)
PATH = "api/v1/audit"


@app.command()
def export(
    project: Annotated[str | None, typer.Option(help="Another project's log.")] = None, url: Url = DEFAULT_URL
) -> None:
    """Print the whole log, an entry a line as JSON."""
    for document in _documents(Api(url), project):
        print(json.dumps(document))


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="What `export` printed; unless said, the server's logs.", show_default=False)
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="A head that was written down earlier: was it kept?")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Check that nothing was changed, taken out or moved, and print the head. Exit code 1 if something was.

    Each project has a log of its own: the heads of the others follow, each with its name. That nothing was cut off at
    the end, only an earlier head can show: keep what this prints where those who can write to the database cannot.
    """
    known = _known(head)
    if file is not None or known is not None:
        found, others = _followed(_lines(file) if file is not None else _documents(Api(url)), known), {}
    else:
        api = Api(url)
        found = _followed(_documents(api))
        others = {name: _followed(_documents(api, name), of=name) for name in _projects(api)}
    if as_json:
        print_json({**_told(found), "projects": {name: _told(its) for name, its in others.items()}})
        return
    print(found)
    for name, its in others.items():
        print(f"{its}\t{name}")


def _followed(documents: Iterable[dict[str, Any]], known: Head | None = None, of: str = "") -> Head:
    try:
        return follow(_entries(documents), known)
    except BrokenChainError as error:
        whose = f" of {of}" if of else ""
        raise CliError(f"The audit log{whose} was tampered with: {error}.") from error


def _told(found: Head) -> dict[str, Any]:
    return {"entries": found.seq, "head": str(found)}


def _projects(api: Api) -> list[str]:
    """Of a server's address; a project's has no others beside it."""
    try:
        return [one["name"] for one in api.get("api/v1/projects")["items"] if one["running"]]
    except UnknownError:
        return []


def _known(head: str | None) -> Head | None:
    try:
        return read_head(head) if head is not None else None
    except ValueError as error:
        raise UsageError(f"--head {head!r} is none: {error}.") from error


def _documents(api: Api, project: str | None = None) -> Iterator[dict[str, Any]]:
    """The entry after the last one seen, until there is none: what a server repeats or leaves out is seen as such."""
    seq = 0
    while items := api.get(PATH, after=seq, project=project)["items"]:
        yield from items
        if items[-1]["seq"] <= seq:
            return
        seq = items[-1]["seq"]


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open() as lines:
            yield from (json.loads(line) for line in lines)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as an exported audit log ({error}).") from error


def _entries(documents: Iterable[dict[str, Any]]) -> Iterator[AuditEntry]:
    for document in documents:
        try:
            yield AuditEntry(**(document | {"at": datetime.fromisoformat(document["at"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise CliError(f"The audit log was tampered with: an entry is none ({error}).") from error

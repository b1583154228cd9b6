"""`onejob dead-letters`: telemetry that was acknowledged and that the engine refuses."""

from typing import Annotated

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Telemetry that the engine refuses.", rich_markup_mode=None)
PATH = "api/v1/dead-letters"


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List them, the oldest first, each with what the engine has against it.

    A thousand at most; `onejob status` says how many there are. Of what is in them it shows which services sent them,
    and what the first span, log record or metric is called.
    """
    document = Api(url).get(PATH)
    if as_json:
        print_json(document)
        return
    names = ("id", "died at", "kind", "items", "bytes", "services", "first", "error")
    print_table(names, [_row(letter) for letter in document["items"]])


def _row(letter: Document) -> tuple[object, ...]:
    what = (letter[name] for name in ("id", "died_at", "kind", "items", "size_bytes"))
    return *what, ", ".join(letter["services"]), letter["first_name"] or "", letter["error"]


@app.command()
def replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Only these; all unless said.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Have them tried once more, after an upgrade say. Prints how many.

    None is stored twice. What is refused again is listed again, under another id.
    """
    document = Api(url).post(f"{PATH}/replay", {"ids": ids} if ids else {}, is_repeatable=True)
    if as_json:
        print_json(document)
        return
    print(document["replayed"])


@app.command()
def delete(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Of those to delete.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Yes, delete all of them for good.")] = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Delete them for good: they were acknowledged, and are never stored. Prints how many."""
    if every == bool(ids):
        raise UsageError("Say which: their ids, as `onejob dead-letters list` has them, or --all --yes.")
    if every and not yes:
        raise UsageError("This deletes all of them for good: say --yes if you want that.")
    which = "all=true" if every else f"ids={','.join(map(str, ids or ()))}"
    document = Api(url).delete(f"{PATH}?{which}")
    if as_json:
        print_json(document)
        return
    print(document["deleted"])

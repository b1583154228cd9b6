"""`onejob dead-letters`: telemetry that was acknowledged and that the engine refuses."""

from typing import Annotated

import typer

from onejob.cli.client import Api
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Telemetry that the engine refuses.", rich_markup_mode=None)
PATH = "api/v1/dead-letters"


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List them, the oldest first, each with what the engine has against it."""
    document = Api(url).get(PATH)
    if as_json:
        print_json(document)
        return
    columns = ("id", "died_at", "kind", "items", "size_bytes", "error")
    rows = [tuple(letter[column] for column in columns) for letter in document["items"]]
    print_table(("id", "died at", "kind", "items", "bytes", "error"), rows)


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

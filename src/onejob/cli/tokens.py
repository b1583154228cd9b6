"""`onejob token`: what pipelines and services prove themselves with."""

from typing import Annotated, Literal

import typer

from onejob.cli.client import Api
from onejob.cli.errors import UsageError
from onejob.cli.lookup import path_part
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Tokens of pipelines and services.", rich_markup_mode=None)
PATH = "api/v1/tokens"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Where it is used, such as 'CI of checkout'.", show_default=False)],
    role: Annotated[
        Literal["viewer", "developer", "operator", "admin"] | None,
        typer.Option(
            help="What it may do: developer reports deployments and asks the gate, operator moves traffic too."
        ),
    ] = None,
    ingest: Annotated[bool, typer.Option("--ingest", help="It can send telemetry, and nothing else.")] = False,
    service: Annotated[str | None, typer.Option(help="The only service it is for.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may use an ingest token; repeat it.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it lasts.")] = 90,
    project: Annotated[
        str | None, typer.Option(help="The project that it opens; the one of the server's address unless said.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once. Pipelines have it in ONEJOB_TOKEN."""
    if ingest == (role is not None):
        raise UsageError("Say what the token may do: --role ROLE, or --ingest to send telemetry.")
    kind = "ingest" if ingest else "api"
    body = {"name": name, "kind": kind, "role": role, "service": service, "origins": origin or [], "days": days}
    document = Api(url).post(PATH, body | ({"project": project} if project else {}))
    if as_json:
        print_json(document)
        return
    print(document["token"], flush=True)
    note(f"{document['id']}, until {document['expires_at']}. It is shown this once.")


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List tokens, the newest first: your own, or as an admin all."""
    document = Api(url).get(PATH)
    if as_json:
        print_json(document)
        return
    columns = ("id", "name", "kind", "role", "service", "expires_at", "last_used_at", "revoked_at", "project")
    rows = [tuple(token.get(column) for column in columns) for token in document["items"]]
    print_table(("id", "name", "kind", "role", "service", "expires", "last used", "revoked", "project"), rows)


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `onejob token list` shows it.", show_default=False)],
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Let a token open nothing from now on."""
    document = Api(url).delete(f"{PATH}/{path_part(token_id)}")
    if as_json:
        print_json(document)
        return
    print(f"{document['id']}\trevoked {document['revoked_at']}")

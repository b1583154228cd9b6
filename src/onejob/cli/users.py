"""`onejob user`: who may use the server, for admins."""

from typing import Annotated, Literal

import typer

from onejob.cli.client import Api, Document
from onejob.cli.lookup import name_part
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Who may use the server.", rich_markup_mode=None)
PATH = "api/v1/users"
Name = Annotated[str, typer.Argument(help="As they log in.", show_default=False)]
Role = Literal["viewer", "developer", "operator", "admin"]


@app.command("list")
def list_(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List all users."""
    document = Api(url).get(PATH)
    if as_json:
        print_json(document)
        return
    rows = [(one["name"], one["role"], _how(one), one["last_login_at"]) for one in document["items"]]
    print_table(("name", "role", "logs in", "last login"), rows)


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do; each may do what those before may.")] = "viewer",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Add a user. Prints the one-time link by which they choose a password."""
    api = Api(url)
    _print_link(api, api.post(PATH, {"name": name, "role": role}), as_json)


@app.command()
def link(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Print a new one-time link for a user whose password is lost; older links are void."""
    api = Api(url)
    _print_link(api, api.post(f"{PATH}/{name_part(name)}/link"), as_json)


@app.command()
def role(
    name: Name, role: Annotated[Role, typer.Argument(show_default=False)], url: Url = DEFAULT_URL, as_json: Json = False
) -> None:
    """Change what a user may do. Their sessions end."""
    _print(Api(url).patch(f"{PATH}/{name_part(name)}", {"role": role}), as_json)


@app.command()
def disable(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Let a user in no more: their sessions end, and their tokens open nothing."""
    _print(Api(url).patch(f"{PATH}/{name_part(name)}", {"disabled": True}), as_json)


@app.command()
def enable(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Let a user in again."""
    _print(Api(url).patch(f"{PATH}/{name_part(name)}", {"disabled": False}), as_json)


@app.command()
def logout(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """End all sessions of a user."""
    _print(Api(url).post(f"{PATH}/{name_part(name)}/logout", is_repeatable=True), as_json)


@app.command("reset-second-factor")
def reset_second_factor(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Switch off the second factor of a user who lost it. Be sure who asks. Their sessions end."""
    _print(Api(url).delete(f"{PATH}/{name_part(name)}/second-factor"), as_json)


def _print_link(api: Api, document: Document, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    note(f"Within 24 hours, once, {document['user']['name']} chooses a password at:")
    print(f"{api.shown_url}{document['path']}")


def _print(user: Document, as_json: bool) -> None:
    if as_json:
        print_json(user)
        return
    print(f"{user['name']}\t{user['role']}\t{_how(user)}")


def _how(user: Document) -> str:
    if user["disabled_at"]:
        return "disabled"
    by_password = "password and code" if user["has_second_factor"] else "password"
    ways = [by_password] * user["has_password"] + ["provider"] * user["has_provider"]
    return " or ".join(ways) or "not yet"

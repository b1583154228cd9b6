"""`onejob rollout`: let onejob move the traffic of a deployment, look at it, and step in."""

from typing import Annotated, Any, Literal

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.lookup import deployment_id, path_part
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url, read_duration_s, read_share
from onejob.cli.output import print_fields, print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Move traffic step by step, and step in.", rich_markup_mode=None)
PATH = "api/v1/rollouts"
Id = Annotated[str, typer.Argument(metavar="ID", help="The rollout's id.")]
Actor = Annotated[str | None, typer.Option(help="Who says so; kept with the rollout.")]


@app.command()
def start(
    which: Annotated[list[str], typer.Argument(metavar="ID | SERVICE VERSION", help="The deployment.")],
    environment: Environment = None,
    driver: Annotated[str, typer.Option(help="Who moves the traffic.")] = "envoy",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the driver; repeat it.")
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE:HOLD", help="A step such as 10%:60s; repeat it. Unless said, the server's plan."),
    ] = None,
    mode: Annotated[
        Literal["observe", "advise", "act"] | None, typer.Option(help="What it may do; unless said, the server's.")
    ] = None,
    on_timeout: Annotated[
        Literal["pause", "abort", "promote"], typer.Option(help="What becomes of a step that stays undecided.")
    ] = "pause",
    force: Annotated[bool, typer.Option("--force", help="Ship a version that was judged worse before.")] = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Start to move the traffic of a deployment that is reported already. Prints the rollout's id."""
    api = Api(url)
    body: dict[str, Any] = {
        "deployment_id": deployment_id(api, which, environment),
        "driver": driver,
        "settings": dict(_read_setting(text) for text in setting or ()),
        "on_timeout": on_timeout,
        "force": force,
    }
    body |= {"steps": [_read_step(text) for text in step]} if step else {}
    body |= {"mode": mode} if mode else {}
    rollout = api.post(PATH, body)
    if as_json:
        print_json(rollout)
        return
    print(rollout["id"])


@app.command()
def show(rollout: Id, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show where a rollout is, and every transition it made."""
    _print(Api(url).get(f"{PATH}/{path_part(rollout)}"), as_json)


@app.command()
def promote(rollout: Id, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Send all traffic to the new version now."""
    _command("promote", rollout, actor, url, as_json)


@app.command()
def hold(rollout: Id, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Stay at the current step until `resume`. A worse verdict still aborts."""
    _command("hold", rollout, actor, url, as_json)


@app.command()
def resume(rollout: Id, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Go on after `hold`."""
    _command("resume", rollout, actor, url, as_json)


@app.command()
def abort(rollout: Id, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Send all traffic back to the old version now."""
    _command("abort", rollout, actor, url, as_json)


def _command(command: str, rollout: str, actor: str | None, url: str, as_json: bool) -> None:
    body = {"actor": actor} if actor else {}
    _print(Api(url).post(f"{PATH}/{path_part(rollout)}/{command}", body), as_json)


def _print(rollout: Document, as_json: bool) -> None:
    if as_json:
        print_json(rollout)
        return
    steps = rollout.get("steps") or []
    print_fields(
        [
            ("id", rollout.get("id")),
            ("deployment", rollout.get("deployment_id")),
            ("state", rollout.get("state")),
            ("share", f"{rollout.get('share', 0):.0%}"),
            ("step", f"{rollout.get('step', 0) + 1} of {len(steps)}"),
            ("mode", rollout.get("mode")),
            ("driver", rollout.get("driver")),
            ("trouble", rollout.get("trouble")),
        ]
    )
    print_table(("at", "from", "to", "share", "reason"), [_row(each) for each in rollout.get("transitions") or ()])


def _row(transition: Document) -> tuple[str, ...]:
    would = " (would have)" if transition.get("is_dry_run") else ""
    return (
        str(transition.get("at", "")),
        str(transition.get("from_state", "")),
        f"{transition.get('to_state', '')}{would}",
        f"{transition.get('share', 0):.0%}",
        str(transition.get("reason", "")),
    )


def _read_setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"{text!r} is no setting: write --set NAME=VALUE.")
    return name, value


def _read_step(text: str) -> dict[str, float | None]:
    share, separator, hold_for = text.partition(":")
    if not separator:
        raise UsageError(f"{text!r} is no step: write --step SHARE:HOLD, such as 10%:60s.")
    return {"share": read_share(share), "hold_s": read_duration_s(hold_for)}

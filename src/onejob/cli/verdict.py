"""`onejob verdict`: what was decided, and whether the stored counts still say so."""

from datetime import UTC, datetime

import typer

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.deployment import PATH
from onejob.cli.errors import EXIT_FAILED
from onejob.cli.lookup import Which, deployment_id
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url
from onejob.cli.output import in_words, moment, note, print_fields, print_json, print_table, verdict_mark
from onejob.cli.signals import HEADINGS, signal_rows

READ_TIMEOUT_S = 120.0  # a day of a busy service is folded again

app = typer.Typer(no_args_is_help=True, help="Show verdicts, and recompute them.", rich_markup_mode=None)


@app.command()
def show(which: Which, environment: Environment = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show the verdict of a deployment with its evidence and its explanation."""
    api = Api(url)
    deployment = api.get(f"{PATH}/{deployment_id(api, which, environment)}")
    document = deployment.get("verdict") or {}
    if as_json:
        print_json(document)
        return
    print_verdict(document)
    if deployment.get("complaints"):
        print_fields([("after it", words.plural(deployment["complaints"], "complaint"))])


@app.command()
def recompute(which: Which, environment: Environment = None, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Compute the verdict again from the counts stored with it. Exit code 1 if it is not the same document."""
    api = Api(url, read_timeout_s=READ_TIMEOUT_S)
    answer = api.post(f"{PATH}/{deployment_id(api, which, environment)}/recompute", is_repeatable=True)
    if as_json:
        print_json(answer)
    else:
        print_verdict(answer.get("verdict") or {})
        note("The same as the stored verdict." if answer.get("same") else "NOT the same as the stored verdict.")
    if not answer.get("same"):
        raise typer.Exit(EXIT_FAILED)


def print_verdict(verdict: Document) -> None:
    """The sentence, what it stands on, and why it came out as it did."""
    now = datetime.now(UTC)
    arms = {arm: verdict.get(arm) or {} for arm in ("control", "treatment")}
    print_fields(
        [
            ("verdict", f"{verdict_mark(verdict)}: {verdict.get('sentence', '')}"),
            ("reason", verdict.get("reason")),
            ("judged", _judged(verdict, now)),
            ("decided", moment(verdict.get("decided_at"), now)),
            ("first visible", moment(verdict.get("first_visible_at"), now)),
            *((arm, _arm(found)) for arm, found in arms.items() if found),
            *(("left out", sentence) for sentence in verdict.get("left_out") or ()),
            *_explained(verdict.get("explanation") or {}),
        ]
    )
    rows = signal_rows(verdict.get("signals") or [])
    if rows:
        print_table(HEADINGS, rows)


def _judged(verdict: Document, now: datetime) -> str:
    at = moment(verdict.get("judged_at"), now)
    return f"{at}, for the last time" if at and verdict.get("is_final") else at


def _arm(arm: Document) -> str:
    versions = ", ".join(map(str, arm.get("versions") or ()))
    instances = words.plural(len(arm.get("instances") or ()), "instance")
    return f"{versions}, {instances}, {words.plural(arm.get('requests', 0), 'request')}"


def _explained(explanation: Document) -> list[tuple[str, object]]:
    attributes = [
        f"{found['name']} = {found['value']} "
        f"({words.percent(found['coverage'])} of the damage, {words.plain(found['lift'])} times as likely)"
        for found in explanation.get("attributes") or ()
    ]
    calls = [_call(found) for found in explanation.get("calls") or () if found.get("is_cause")]
    services = [
        f"{found['service']} ({words.percent(found['share'], 2)}, {found['kind']})"
        for found in explanation.get("services") or ()
    ]
    return [
        *(("concentrated in", found) for found in attributes[:3]),
        *(("cause", found) for found in calls),
        *(("arises in", found) for found in services),
    ]


def _call(call: Document) -> str:
    where = " > ".join(call["path"])
    match call["kind"]:
        case "more":
            before, after = (words.plain(call[f"calls_{arm}"]) for arm in ("control", "treatment"))
            return f"{where}: more calls, {before} -> {after} a request"
        case "failing":
            before, after = (words.percent(call.get(f"error_rate_{arm}")) for arm in ("control", "treatment"))
            return f"{where}: {before} -> {after} of its calls fail"
        case "slower":
            before, after = (words.seconds(call.get(f"each_{arm}_s")) for arm in ("control", "treatment"))
            return f"{where}: slower, {before} -> {after} a call"
    return f"{where}: {in_words(call['kind'])}, {words.added(call.get('added_s') or 0.0)} a request"

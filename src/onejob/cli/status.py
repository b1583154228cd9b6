"""`onejob status`: is the server there, and does anything arrive?"""

from datetime import UTC, datetime

from onejob import words
from onejob.cli.client import Api, Document
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import ago, print_fields, print_json
from onejob.model.telemetry import ONE_OF, Kind

_REFUSALS = {
    "TryLater": "to be sent again later",
    "TooLarge": "each too large (ONEJOB_MAX_REQUEST_BYTES)",
    "BadRequest": "each malformed",
    "Unauthenticated": "without a token that may send (`onejob token create --ingest`)",
}


def status(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Say whether the server works.

    And what it has stored. Exit code 4 if none answers.
    """
    api = Api(url)
    document = api.get("api/v1/status")
    if as_json:
        print_json(document)
        return
    print_fields([("server", api.shown_url), *_fields(document)])


def _fields(document: Document) -> list[tuple[str, object]]:
    engine, state, ports = (document.get(name) or {} for name in ("engine", "state", "ports"))
    return [
        ("version", document.get("version")),
        ("engine", f"{engine.get('kind')}, {'up' if engine.get('up') else 'down: ' + str(engine.get('trouble'))}"),
        ("state", f"{state.get('kind')}, {_deployments(state)}"),
        ("state trouble", state.get("trouble")),
        ("spans stored", _count(document.get("spans_stored"))),
        ("services", _count(document.get("services"))),
        ("last span", ago(document.get("last_span_at"), datetime.now(UTC))),
        ("OTLP/gRPC port", ports.get("otlp_grpc")),
        ("OTLP/HTTP port", ports.get("otlp_http")),
        *_intake(document.get("intake") or {}),
        *((f"project {one['name']}", _project(one)) for one in document.get("projects") or ()),
    ]


def _project(document: Document) -> str:
    """In a line; `onejob status` at its own address says the rest."""
    if document["trouble"]:
        return f"trouble: {document['trouble']}"
    intake = document.get("intake") or {}
    lag = intake.get("lag_s")
    said = f"{_deployments(document)}, {words.plural(intake.get('accepted_spans', 0), 'span')} accepted"
    return said + (f", the oldest on its way for {words.elapsed(lag)}" if lag else "")


def _deployments(state: Document) -> str:
    count = state.get("deployments")
    return "down" if count is None else words.plural(count, "deployment")


def _intake(intake: Document) -> list[tuple[str, object]]:
    """Since the server started; what went well is one line, what did not is there only if it happened."""
    if not intake:
        return []
    spans, requests = intake.get("accepted_spans", 0), intake.get("accepted_requests", 0)
    waiting, lag = intake.get("spooled_bytes", 0), intake.get("lag_s") or 0
    on_their_way = f"{words.plural(intake.get('spooled_spans', 0), 'span')}, {_megabytes(waiting)}"
    counts = (intake.get("refused") or {}).items()
    refused = (f"{words.plural(n, 'request')}, {_REFUSALS.get(why, why)}" for why, n in counts)
    return [
        ("accepted", f"{words.plural(spans, 'span')} in {words.plural(requests, 'request')} since it started"),
        _others(intake, "logs"),
        _others(intake, "metrics"),
        ("on their way", f"{on_their_way}, the oldest for {words.elapsed(lag)}" if waiting else "nothing"),
        ("sent again", _count(intake.get("repeated_requests") or None)),
        ("rejected spans", _count(intake.get("rejected_spans") or None)),
        *(("refused", sentence) for sentence in refused),
        ("dead letters", _dead(intake)),
        *(("not scraped", f"{name}: {why}") for name, why in (intake.get("failing_targets") or {}).items()),
        ("trouble", intake.get("trouble")),
    ]


def _dead(intake: Document) -> str:
    letters = intake.get("dead_letters")
    if not letters:
        return ""
    return f"{words.count(letters)}, {_megabytes(intake.get('dead_letter_bytes', 0))} (`onejob dead-letters list`)"


def _others(intake: Document, kind: Kind) -> tuple[str, object]:
    """What else came, if anything did."""
    counts, name = intake.get(kind) or {}, f"{ONE_OF[kind]}s"
    if not counts.get("accepted") and not counts.get("rejected"):
        return name, None
    said = f"{words.count(counts['accepted'])} accepted, {words.count(counts['stored'])} stored"
    said += " (some came before it started)" if counts["stored"] > counts["accepted"] else ""
    said += f", {words.count(counts['spooled'])} on their way" if counts["spooled"] else ""
    return name, said + (f", {words.count(counts['rejected'])} rejected" if counts["rejected"] else "")


def _count(number: int | None) -> str:
    return "" if number is None else words.count(number)


def _megabytes(size: int) -> str:
    return f"{words.plain(size / 1e6)} MB" if size >= 1e6 else f"{words.plain(size / 1e3)} kB"

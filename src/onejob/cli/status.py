"""`onejob status`: is the server there, and does anything arrive?"""

from datetime import UTC, datetime

from onejob.cli.client import Api, Document
from onejob.cli.options import DEFAULT_URL, Json, Url
from onejob.cli.output import ago, print_fields, print_json


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
    engine, state = document.get("engine") or {}, document.get("state") or {}
    ports, intake = document.get("ports") or {}, document.get("intake") or {}
    return [
        ("version", document.get("version")),
        ("engine", f"{engine.get('kind')}, {'up' if engine.get('up') else 'down: it is being started again'}"),
        ("state", f"{state.get('kind')}, {state.get('deployments')} deployments"),
        ("spans stored", document.get("spans_stored")),
        ("services", document.get("services")),
        ("last span", ago(document.get("last_span_at"), datetime.now(UTC))),
        ("OTLP/gRPC port", ports.get("otlp_grpc")),
        ("OTLP/HTTP port", ports.get("otlp_http")),
        *((f"intake {name.replace('_', ' ')}", value) for name, value in intake.items()),
    ]

"""Most attributes of a span cannot answer "who is hurt": they name the arm, or they are what the damage did.

The rules, by OpenTelemetry's semantic conventions, stable and before (`http.status_code`, `net.peer.port`):

- *outcomes* are consequences: status codes, errors, exceptions, response sizes;
- *places* identify processes and connections, and so the arm: host, port, instance, thread, process;
- below and above the entry span, every attribute with a conventional namespace describes that call (its statement, its
  URL), not the request that caused it: there only attributes of the application's own (`payment.method`) count, and
  those that name users.

What names alone cannot tell, the data does: see `who.py` on values that one arm never has.
"""

import re

# https://opentelemetry.io/docs/specs/semconv/registry/attributes/, release 1.37, and the names they replaced.
OUTCOMES = (
    "error.", "exception.", "otel.", "status.", "http.response.", "http.status_code", "http.status_text",
    "http.response_content_length", "http.request.resend_count", "http.resend_count", "rpc.grpc.status_code",
    "rpc.response.", "rpc.connect_rpc.error_code", "rpc.jsonrpc.error_", "db.response.", "db.rows_affected",
    "aws.request_id", "faas.invocation_id", "event.outcome",
)  # fmt: skip
PLACES = (
    "asgi.", "code.", "container.", "host.", "http.client_ip", "http.flavor", "http.host", "http.server_name",
    "http.url", "k8s.", "net.", "network.", "os.", "peer.", "process.", "server.", "service.", "source.",
    "destination.", "telemetry.", "thread.", "tls.", "url.full", "client.port", "deployment.", "wsgi.",
    "internal.span.",
)  # fmt: skip
CALLS = (
    "artifact.", "aws.", "az.", "azure.", "cicd.", "client.", "cloudevents.", "cpu.", "cpython.", "db.", "dns.",
    "elasticsearch.", "faas.", "file.", "gcp.", "gen_ai.", "go.", "graphql.", "http.", "jvm.", "linux.", "log.",
    "messaging.", "nodejs.", "oracle.", "pool.", "rpc.", "signalr.", "system.", "test.", "url.", "user_agent.",
    "v8js.", "vcs.",
)  # fmt: skip


def _any_of(names: tuple[str, ...]) -> str:
    """A name ending in `.` or `_` is a prefix; others match whole names."""
    return "|".join(re.escape(name) + ("" if name[-1] in "._" else "$") for name in names)


NEVER = f"^({_any_of(OUTCOMES)}|{_any_of(PLACES)})"
_NEVER = re.compile(NEVER)
_CALL = re.compile(f"^({_any_of(CALLS)})")


def may_explain(name: str, *, on_entry: bool) -> bool:
    """Whether an attribute of this name can say who is hurt, on the entry span or on one above or below it."""
    return not _NEVER.match(name) and (on_entry or not _CALL.match(name))

"""What a call is named in a call tree."""

import pytest

from onejob.explain.addresses import normalise_path
from onejob.explain.attributes import may_explain
from onejob.explain.labels import span_label


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://10.0.0.7:8080/users/42/orders?since=1", "/users/{id}/orders"),
        ("/charges", "/charges"),
        ("https://payments", "/"),
        ("", "/"),
        ("/users/{user_id}", "/users/{user_id}"),
        ("/a/550e8400-e29b-41d4-a716-446655440000/b", "/a/{id}/b"),
        ("/t/t-17/order_4f2a", "/t/{id}/{id}"),
        ("/by-date/2024-05-01", "/by-date/{id}"),
        ("/u/someone@example.org", "/u/{id}"),
        ("/x/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/x/{id}"),
        ("/api/v2/oauth2/facade/carts", "/api/v2/oauth2/facade/carts"),
        ("/files/report.pdf#top", "/files/report.pdf"),
    ],
)
def test_ids_in_paths_are_replaced_and_words_are_not(target: str, path: str) -> None:
    assert normalise_path(target) == path


def label(**parts: str) -> str:
    known = dict.fromkeys(("kind", "name", "operation", "method", "target", "statement", "database"), "")
    return span_label(**{**known, "operation": parts.get("name", ""), **parts})


def test_database_spans_are_named_by_their_statement() -> None:
    assert label(kind="Client", name="SELECT", statement="SELECT a FROM t WHERE b = 1") == "SELECT a FROM t WHERE b = ?"
    assert label(kind="Client", name="SELECT", statement="/* nothing else */") == "SELECT"


def test_http_spans_are_named_by_method_and_path() -> None:
    assert label(kind="Client", name="POST", method="POST", target="http://p:1/charges/7") == "POST /charges/{id}"
    assert (
        label(kind="Server", name="POST", operation="POST /charges", method="POST", target="/charges")
        == "POST /charges"
    )
    assert label(kind="Server", name="GET", method="GET", target="/users/7") == "GET /users/{id}"


def test_other_spans_keep_their_name() -> None:
    assert label(kind="Internal", name="render") == "render"
    assert label(kind="Consumer", name="orders process", method="", target="/x") == "orders process"


@pytest.mark.parametrize(
    "name",
    ["http.response.status_code", "http.status_code", "error.type", "exception.message", "server.port", "net.peer.port",
     "network.peer.port", "client.port", "host.name", "process.pid", "k8s.pod.name", "service.instance.id", "http.host",
     "thread.id", "code.lineno", "otel.status_code", "rpc.grpc.status_code", "url.full", "http.url"],
)  # fmt: skip
def test_outcomes_and_places_never_explain(name: str) -> None:
    assert not may_explain(name, on_entry=True)
    assert not may_explain(name, on_entry=False)


@pytest.mark.parametrize(
    "name", ["tenant.size", "payment.method", "enduser.id", "region", "errors.policy", "serverless"]
)
def test_attributes_of_the_application_may_explain_wherever_they_are(name: str) -> None:
    assert may_explain(name, on_entry=True)
    assert may_explain(name, on_entry=False)


@pytest.mark.parametrize("name", ["url.path", "user_agent.original", "http.request.header.x-plan", "rpc.method"])
def test_what_a_call_was_explains_on_the_entry_span_only(name: str) -> None:
    assert may_explain(name, on_entry=True)
    assert not may_explain(name, on_entry=False)

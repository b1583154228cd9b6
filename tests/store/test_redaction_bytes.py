"""What a rule would change is found in the bytes of a request; where that is not sure, nothing is left out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.config import Settings
from onejob.store.redaction import Plan, plan_of
from onejob.store.redaction_bytes import ByteSearch
from onejob.store.redaction_nested import NestedRedaction
from otlp_builders import a_log_request, a_payload, a_record, a_span, any_value, attributes_of

RULES = (
    (),
    ({"action": "hash", "key": "customer.name"}, {"action": "drop", "key": "internal.*"}),
    ({"action": "keep", "default": "*"}, {"action": "drop", "key": "*.Body"}, {"action": "mask", "key": "a?c"}),
    ({"action": "hash", "pattern": "ACC-[0-9]{6}"}, {"action": "mask", "pattern": r"(?i)classified:\s*(?P<what>\w+)"}),
    ({"action": "mask", "pattern": r"^burn this$"}, {"action": "drop", "pattern": r"\bforget\b.me\b"}),
    ({"action": "mask", "pattern": "[^a]ünter"}, {"action": "hash", "default": "email"}),
    ({"action": "mask", "pattern": "[0-9]{6}"}, {"action": "keep", "default": "card_numbers"}),
    ({"action": "mask", "pattern": '"ssn":"[0-9]+"'},),
    ({"action": "mask", "pattern": "ab|[0-9]7"},),
)
TEXTS = (
    "ada@example.org", "jörg@exämple.de", "x@y", "4111 1111 1111 1111", "378282246310005", "0.4111111111111111",
    "Bearer 0123456789abcdef0123", "authorization: x", "Cookie: a=b", "password=hunter2", '"password": "\n"', "a token",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln", "AKIAIOSFODNN7EXAMPLE", "postgres://u:p@db/x", "ACC-123456",
    "classified: x", "burn this", "do not\nburn this", "please forget me", "Günter", "äünter", "123456", "ab", "17",
    "-----BEGIN PRIVATE KEY-----", "sk-0123456789abcdefghij", '{"ssn":"17"}', "nothing", "",
)  # fmt: skip
KEYS = (
    "db.password", "HTTP.Request.Header.Cookie", "set-cookie", "api_key", "token", "auth_token", "tokens", "secret",
    "customer.name", "Customer.Name", "internal.note", "internal", "http.request.body", "abc", "plain", "passwords.x",
)  # fmt: skip
NUMBERS = (4111111111111111, -4111111111111111, 4111111111111112, 378282246310005, 123456, 17, 4111111111111111.0, True)

texts = st.one_of(
    st.sampled_from(TEXTS), st.text(max_size=12), st.builds("{}{}".format, st.text(), st.sampled_from(TEXTS))
)
keys = st.one_of(st.sampled_from(KEYS), texts)
values = st.one_of(texts, st.sampled_from(NUMBERS))


def search_of(plan: Plan) -> ByteSearch:
    return ByteSearch(plan.byte_search, has_cards=any(step.is_card for step in plan.steps))


@pytest.fixture(scope="module", params=RULES, ids=str)
def plan(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_of(Settings(data_dir=tmp_path_factory.mktemp("data"), redaction=request.param))


def changes(plan: Plan, alone: list[str], attributes: dict[str, Any]) -> bool:
    """By the plain model: value by value, with RE2."""
    shown = {key: json.dumps(value) if not isinstance(value, str) else value for key, value in attributes.items()}
    listed = [[["", text] for text in alone], [[key, text] for key, text in shown.items()]]
    return bool(json.loads(NestedRedaction(plan).redact_pairs(json.dumps(listed))) != listed)


@settings(max_examples=15, deadline=None)
@given(name=texts, body=values, attributes=st.dictionaries(keys, values, max_size=3), of_resource=st.booleans())
def test_what_a_rule_would_change_is_found(
    plan: Plan, name: str, body: Any, attributes: dict[str, Any], of_resource: bool
) -> None:
    record = a_record(body)
    record.event_name = name
    span = a_span(name)
    span.attributes.add(key="body", value=any_value(body))
    if not of_resource:
        span.attributes.extend(attributes_of(attributes))
        record.attributes.extend(attributes_of(attributes))
    resource = attributes if of_resource else {}

    if changes(plan, [name, body if isinstance(body, str) else json.dumps(body)], attributes):
        search = search_of(plan)
        assert search.may_find(a_payload(span, service="shop", resource=resource))
        assert search.may_find(a_log_request(record, service="shop", resource=resource).SerializeToString())


def test_what_has_nothing_to_hide_is_told_as_such(tmp_path: Path) -> None:
    search = search_of(plan_of(Settings(data_dir=tmp_path)))
    said = {"tokens": 7, "gen_ai.usage.input_tokens": 12, "db.query.text": "SELECT token FROM t", "ratio": 0.25}
    said |= {"mail": "rabbit@node-1", "thread.id": 140_123_456_789, "seen_ns": 1_700_000_000_000_000_000}
    span = a_span("the secret of the cookies")
    span.attributes.extend(attributes_of(said))
    assert not search.may_find(a_payload(span, resource={"host.name": "secretary"}))


@pytest.mark.parametrize("pattern", ["[0-9]{6}", "a|b", '"ssn"', r"\Qa^b\E", "(ab)+", "true", r"\{x\}"])
def test_a_pattern_that_may_be_about_more_than_texts_leaves_nothing_out(tmp_path: Path, pattern: str) -> None:
    rules = ({"action": "mask", "pattern": pattern},)
    assert plan_of(Settings(data_dir=tmp_path, redaction=rules)).byte_search == ""


@pytest.mark.parametrize("number", [4111111111111111, -4111111111111111, 378282246310005, 4111111111111111.5])
def test_a_number_of_a_card_is_found_wherever_it_is_in_a_batch(tmp_path: Path, number: float) -> None:
    search = search_of(plan_of(Settings(data_dir=tmp_path)))
    span = a_span()
    span.attributes.add(key="n", value=any_value(number))
    request = a_payload(span)
    for before in range(2**19 - len(request) - 30, 2**19 + 30, 11):
        assert search.may_find(bytes(before) + request)


@pytest.mark.parametrize("padding", [b"\x89\x80\x80\x00", b"\x09"])
def test_lengths_of_several_bytes_hide_no_number(tmp_path: Path, padding: bytes) -> None:
    search = search_of(plan_of(Settings(data_dir=tmp_path)))
    value = any_value(4111111111111111).SerializeToString()
    assert len(value) == 9
    assert search.may_find(b"\x0a\x01n\x12" + padding + value)


def test_an_encoder_that_writes_values_before_keys_is_noticed(tmp_path: Path) -> None:
    search = search_of(plan_of(Settings(data_dir=tmp_path)))
    name = b"\x12\x06\x0a\x04shop\x0a\x0cservice.name"
    resource = b"\x0a" + bytes([len(name)]) + name + b"\x10\x00"
    assert search.may_find(b"\x0a" + bytes([len(resource) + 2]) + b"\x0a" + bytes([len(resource)]) + resource)


@pytest.mark.parametrize("beside", ["", "of ada@example.org"])
def test_a_secret_behind_a_line_feed_is_hidden_in_lists_and_pairs_whatever_else_is_there(
    beside: str, tmp_path: Path
) -> None:
    redaction = NestedRedaction(plan_of(Settings(data_dir=tmp_path)))
    secret = 'db.password="\nhunter2"'
    assert "hunter2" not in json.dumps(redaction.redact([secret, beside], "config"))
    assert "hunter2" not in redaction.redact_pairs(json.dumps([[], [["config", secret], ["note", beside]]]))

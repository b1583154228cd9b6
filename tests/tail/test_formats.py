"""What a server writes in a format is read back, whatever a client sent; and nothing is read into what is none."""

import functools
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.tail import fields
from onejob.tail.entry import Entry, Unread
from onejob.tail.errors import FormatError
from onejob.tail.formats import reader_of
from onejob.tail.kind import Format
from onejob.tail.layout import Reader
from onejob.tail.tally import Tally, without_secrets

SECOND = 10**9
ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SEGMENT = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%", max_size=12)
PATH = st.lists(SEGMENT, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))
SPACED = st.text("abcdefghijklmnopqrstuvwxyz0123456789 ()/;.", min_size=1, max_size=30)


@functools.cache
def reader(kind: str, log_format: str | None = None, version_field: str = "x-version") -> Reader:
    return reader_of(Format(kind), log_format, version_field)


@st.composite
def requests(draw: st.DrawFn, texts: st.SearchStrategy[str] = ANYTHING) -> dict[str, Any]:
    """A request, with milliseconds for both times; texts that a server would write as `-` are none."""
    some = texts.filter(lambda text: text not in ("", "-"))
    return {
        "ended_ms": draw(st.integers(10**12, 3 * 10**12)),
        "duration_ms": draw(st.integers(0, 10**7)),
        "method": draw(st.sampled_from(["GET", "POST", "PATCH", "PROPFIND"])),
        "path": draw(PATH),
        "query": draw(st.sampled_from(["", "?token=hunter2", "?a=1&b=%20"])),
        "status": draw(st.integers(100, 599)),
        "sent": draw(st.integers(0, 2**40)),
        "agent": draw(some),
        "version": draw(some),
        "upstream": draw(st.sampled_from(["10.0.0.7:8080", "unix:/run/app.sock", "[::1]:80"])),
    }


def entry_of(request: dict[str, Any], **changes: Any) -> Entry:
    told: dict[str, Any] = {
        "ended_ns": request["ended_ms"] * 10**6,
        "duration_ns": request["duration_ms"] * 10**6,
        "method": request["method"],
        "path": request["path"],
        "status": request["status"],
        "protocol": "1.1",
        "sent_bytes": request["sent"],
        "agent": request["agent"],
        "version": request["version"],
        "instance": request["upstream"],
    }
    return Entry(**(told | changes))


def decimal(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def common_time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds // 1000, UTC):%d/%b/%Y:%H:%M:%S} +0000"


def as_nginx(text: str) -> str:
    """`escape=default`: quotes, backslashes and what is no printable ASCII as \\xHH."""
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02X}" for b in text.encode())


def as_apache(text: str) -> str:
    """Quotes and backslashes behind a backslash, white space as in C, the rest as \\xhh."""
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v", '"': '\\"', "\\": "\\\\"}
    return "".join(named.get(chr(b)) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in text.encode())


def as_haproxy(text: str) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b not in b'"#{|}' else f"#{b:02X}" for b in text.encode())


@given(requests())
def test_nginx_lines_are_read_back(request: dict[str, Any]) -> None:
    line = (
        f"192.0.2.7 - bob [{common_time(request['ended_ms'])}] "
        f'"{request["method"]} {request["path"]}{request["query"]} HTTP/1.1" {request["status"]} '
        f'{request["sent"]} "-" "{as_nginx(request["agent"])}" '
        f"end={decimal(request['ended_ms'])} duration={decimal(request['duration_ms'])} "
        f'upstream="10.0.0.6:80, {request["upstream"]}" version="{as_nginx(request["version"])}"'
    )
    assert reader("nginx").read(line) == entry_of(request)
    assert reader("auto").read(line) == entry_of(request)
    assert reader("auto").read(f"<190>Nov 26 23:36:35 web1 nginx: {line}") == entry_of(request)


@given(requests())
def test_nginx_lines_in_json_are_read_back(request: dict[str, Any]) -> None:
    log_format = (
        '{"end":$msec,"s":$request_time,"m":"$request_method","u":"$request_uri","c":$status,"b":"$bytes_sent",'
        '"a":"$http_user_agent","i":"$upstream_addr","v":"$upstream_http_x_version"}'
    )
    line = (
        f'{{"end":{decimal(request["ended_ms"])},"s":{decimal(request["duration_ms"])},"m":"{request["method"]}",'
        f'"u":"{request["path"]}{request["query"]}","c":{request["status"]},"b":"{request["sent"]}",'
        f'"a":{json.dumps(request["agent"], ensure_ascii=False)},"i":"{request["upstream"]}",'
        f'"v":{json.dumps(request["version"], ensure_ascii=False)}}}'
    )
    assert reader("nginx", log_format).read(line) == entry_of(request, protocol="")


@given(requests())
def test_apache_lines_are_read_back(request: dict[str, Any]) -> None:
    line = (
        f'192.0.2.7 - - [{common_time(request["ended_ms"])}] "{request["method"]} {request["path"]}{request["query"]} '
        f'HTTP/1.1" {request["status"]} {request["sent"]} "-" "{as_apache(request["agent"])}" '
        f'end={request["ended_ms"]}000 duration={request["duration_ms"]}000 version="{as_apache(request["version"])}"'
    )
    assert reader("apache").read(line) == entry_of(request, instance="")


@given(requests())
def test_haproxy_lines_are_read_back(request: dict[str, Any]) -> None:
    started = request["ended_ms"] - request["duration_ms"]
    local = datetime.fromtimestamp(started // 1000)
    line = (
        f"192.0.2.7:33317 [{local:%d/%b/%Y:%H:%M:%S}.{started % 1000:03}] edge~ app/web1 0/0/1/5/"
        f"{request['duration_ms']} {request['status']} {request['sent']} - - ---- 1/1/0/0/+1 0/0 "
        f'{{{as_haproxy(request["agent"])}|}} "{request["method"]} {request["path"]}{request["query"]} HTTP/1.1"'
    )
    expected = entry_of(request, instance="web1", agent="", version="")
    assert reader("haproxy").read(line) == expected
    assert reader("auto").read(f"Nov 26 23:36:35 lb haproxy[14389]: {line}") == expected


@given(requests(SPACED))
def test_envoy_lines_are_read_back_as_text_and_as_json(request: dict[str, Any]) -> None:
    started = request["ended_ms"] - request["duration_ms"]
    moment = datetime.fromtimestamp(started // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{started % 1000:03}Z"
    line = (
        f'[{moment}] "{request["method"]} {request["path"]}{request["query"]} HTTP/1.1" {request["status"]} - 0 '
        f'{request["sent"]} {request["duration_ms"]} - "-" "{request["agent"]}" "id" "shop" "{request["upstream"]}" '
        f'version="{request["version"]}"'
    )
    expected = entry_of(request, received_bytes=0)
    assert reader("envoy").read(line) == expected
    document = {
        "start_time": moment,
        "method": request["method"],
        "path": request["path"] + request["query"],
        "protocol": "HTTP/1.1",
        "response_code": request["status"],
        "bytes_received": 0,
        "bytes_sent": request["sent"],
        "duration": request["duration_ms"],
        "user_agent": request["agent"],
        "upstream_host": request["upstream"],
        "x_version": request["version"],
    }
    assert reader("envoy").read(json.dumps(document)) == expected


@given(st.permutations(["$msec", "$request_time", "$request", "$status", "$http_user_agent", "$scheme"]), requests())
def test_the_order_of_a_format_does_not_matter(order: list[str], request: dict[str, Any]) -> None:
    written = {
        "$msec": decimal(request["ended_ms"]),
        "$request_time": decimal(request["duration_ms"]),
        "$request": f"{request['method']} {request['path']}{request['query']} HTTP/1.1",
        "$status": str(request["status"]),
        "$http_user_agent": as_nginx(request["agent"]),
        "$scheme": "https",
    }
    log_format = " ".join(f'"{name}"' if name in ("$request", "$http_user_agent") else name for name in order)
    line = re.sub(r"\$[a-z_]+", lambda found: written[found[0]], log_format)
    found = reader("nginx", log_format).read(line)
    assert found == entry_of(request, sent_bytes=None, version="", instance="")


@given(ANYTHING, st.sampled_from(["nginx", "apache", "haproxy", "envoy", "auto"]))
def test_no_line_is_an_error(line: str, kind: str) -> None:
    assert isinstance(reader(kind).read(line), Entry | Unread)


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy", "envoy", "auto"])
@pytest.mark.parametrize("piece", ['" "', " ", "\\", '\\"', "[", "a b ", "{", "1/"])
def test_a_line_that_is_made_to_take_long_does_not(kind: str, piece: str) -> None:
    """Where a pattern tried each way to cut it, this would take hours."""
    head = '192.0.2.7 - - [26/Nov/2026:23:36:35 +0000] "GET / HTTP/1.1" 200 7 "-" "'
    for begin in ("", head, "Nov 26 23:36:35 web1 "):
        assert isinstance(reader(kind).read(begin + piece * (20_000 // len(piece)) + "\0"), Entry | Unread)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("nginx", '192.0.2.7 - - [26/Nov/2026:23:36:35 +0000] "\\x16\\x03\\x01" 400 157 "-" "-"'),
        ("nginx", '192.0.2.7 - - [26/Nov/2026:23:36:35 +0000] "" 400 0 "-" "-"'),
        ("apache", '192.0.2.7 - - [26/Nov/2026:23:36:35 +0000] "-" 408 - "-" "-"'),
        ("haproxy", "192.0.2.7:1 [26/Nov/2026:23:36:38.052] fe fe/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 1/1/0/0/0 0/0 "
         '"<BADREQ>"'),
    ],
)  # fmt: skip
def test_a_connection_without_a_request_is_told_from_a_line_that_cannot_be_read(kind: str, line: str) -> None:
    assert reader(kind).read(line) is Unread.NO_REQUEST


def test_a_request_that_haproxy_cut_off_is_read() -> None:
    line = '192.0.2.7:1 [26/Nov/2026:23:36:38.052] fe be/web1 0/0/1/2/3 200 7 - - ---- 1/1/0/0/0 0/0 "GET /a/long'
    found = reader("haproxy").read(line)
    assert isinstance(found, Entry)
    assert found.path == "/a/long"


@pytest.mark.parametrize(
    ("kind", "log_format", "says"),
    [
        ("nginx", "$remote_addr $request", "when the request was"),
        ("nginx", "$msec $status", "what was asked for"),
        ("apache", "%t %r", "the status of the answer"),
        ("apache", "%h%u %t %r %>s", "Put a space"),
        ("haproxy", "hello", "does not tell when the request was, what was asked for"),
        ("envoy", '{"start_time": ', "no JSON"),
        ("auto", "$msec", "say which, with --format"),
    ],
)
def test_a_format_that_cannot_be_read_says_why(kind: str, log_format: str, says: str) -> None:
    with pytest.raises(FormatError, match=re.escape(says)):
        reader(kind, log_format)


@given(st.integers(0, 10**12), st.sampled_from([(fields.seconds, 9), (fields.milliseconds, 6)]))
def test_durations_are_exact(nanoseconds: int, unit: tuple[Any, int]) -> None:
    read, digits = unit
    assert read(f"{nanoseconds // 10**digits}.{nanoseconds % 10**digits:0{digits}}") == nanoseconds


def test_the_target_of_a_request_is_its_path_and_nothing_else() -> None:
    assert fields.path("https://shop.example/cart?token=hunter2") == "/cart"
    assert fields.path("/cart;jsessionid=hunter2#top") == "/cart"
    assert fields.path("shop.example:443") == "/"
    assert fields.path("*") == "*"


@given(
    st.sampled_from(["?token=hunter2", "https://me:hunter2@host/", "Authorization: Bearer hunter2", "password=hunter2"])
)
def test_the_example_of_a_line_that_cannot_be_read_keeps_no_secret(secret: str) -> None:
    shown = without_secrets(f'some "GET /cart{secret if secret[0] == "?" else " " + secret}" line\x1b[2J')
    assert "hunter2" not in shown
    assert shown.isprintable()


def test_lines_that_cannot_be_read_are_counted_with_the_first_as_example() -> None:
    tally = Tally()
    tally.count("a line", Unread.OTHER_FORM)
    tally.count("another", Unread.OTHER_FORM)
    assert (tally.example, str(tally)) == ("a line", "0 requests, 2 lines that could not be read")

"""Sends requests of OTLP until they are acknowledged. What trying again does not mend is an EndpointError."""

import gzip
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import httpx

from onejob.tail import wire
from onejob.tail.errors import EndpointError, UnavailableError
from onejob.tail.patience import LONGEST_PAUSE_S, Patience

PATH = "/v1/traces"
_PROTOBUF = "application/x-protobuf"
_MAY_PASS = (408, 429, 500, 502, 503, 504)
_CONNECT_S, _ANSWER_S = 5.0, 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Shipper:
    """To `endpoint`, the address before `/v1/traces`. EndpointError for what is none."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], patience: Patience) -> None:
        url = _url_of(endpoint)
        self._shown = str(url.copy_with(username=None, password=None))
        self._patience = patience
        self._url = url
        self._client = httpx.Client(
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            headers={"user-agent": "onejob-tail", **headers},
            trust_env=url.host not in _LOOPBACK,
        )
        self.rejected = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def send(self, body: bytes) -> None:
        """Returns when it is acknowledged. EndpointError if it never will be, StoppedError if we are to end."""
        packed = gzip.compress(body, 1, mtime=0)
        self._patience.until(lambda: self._attempt(packed, len(body)))

    def _attempt(self, packed: bytes, size: int) -> None:
        headers = {"content-type": _PROTOBUF, "content-encoding": "gzip"}
        try:
            answer = self._client.post(self._url, content=packed, headers=headers)
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise UnavailableError(f"Nobody takes OTLP at {self._shown} ({why}).") from error
        if answer.status_code in _MAY_PASS:
            raise UnavailableError(f"{self._shown} cannot take more now ({_why(answer)}).", _retry_after_s(answer))
        if not answer.is_success:
            raise EndpointError(self._refusal(answer, size))
        self.rejected += _rejected(answer)

    def _refusal(self, answer: httpx.Response, size: int) -> str:
        match answer.status_code:
            case 401 | 403:
                return (
                    f"{self._shown} wants an ingest token: set OTEL_EXPORTER_OTLP_HEADERS="
                    f'"authorization=Bearer onejob_ingest_..." ({_why(answer)}).'
                )
            case 413:
                return f"{self._shown} takes no request of {size:,} bytes: raise its limit (ONEJOB_MAX_REQUEST_BYTES)."
            case 404 | 405 | 415:
                return (
                    f"What answers at {self._shown} takes no OTLP (status {answer.status_code}): correct --endpoint; "
                    "the port is the one of OTLP/HTTP, 4318 unless set."
                )
        return f"{self._shown} refuses what it was sent ({_why(answer)})."


def headers_of(text: str) -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS: `name=value,name=value`, values percent-encoded. EndpointError for what is none."""
    headers = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        name, is_pair, value = pair.partition("=")
        value = unquote(value).strip()
        if not is_pair or not name.strip().isascii() or not (value.isascii() and value.isprintable()):
            raise EndpointError(
                'OTEL_EXPORTER_OTLP_HEADERS cannot be read: it looks like "authorization=Bearer onejob_ingest_...".'
            )
        headers[name.strip().lower()] = value
    return headers


def _url_of(endpoint: str) -> httpx.URL:
    try:
        url = httpx.URL(endpoint if "://" in endpoint else f"http://{endpoint}")
    except (httpx.InvalidURL, ValueError) as error:
        raise EndpointError(f"{endpoint!r} is no URL ({error}): it looks like http://127.0.0.1:4318.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise EndpointError(f"{endpoint!r} is no URL of a server: it looks like http://127.0.0.1:4318.")
    path = url.path.rstrip("/")
    return url.copy_with(path=path if path.endswith(PATH) else path + PATH)


def _why(answer: httpx.Response) -> str:
    """The status and, of a google.rpc.Status, the message."""
    try:
        message = wire.read(answer.content).get(2)
    except ValueError:
        message = None
    said = message.decode("utf-8", "replace")[:300] if isinstance(message, bytes) else ""
    return f"status {answer.status_code}: {said}" if said else f"status {answer.status_code}"


def _retry_after_s(answer: httpx.Response) -> float:
    wanted = answer.headers.get("retry-after", "")
    return min(float(wanted), LONGEST_PAUSE_S) if wanted.isascii() and wanted.isdigit() else 0.0


def _rejected(answer: httpx.Response) -> int:
    """Spans that ExportTracePartialSuccess says were not taken."""
    try:
        partial = wire.read(answer.content).get(1)
        count = wire.read(partial).get(1, 0) if isinstance(partial, bytes) else 0
    except ValueError:
        return 0
    return count if isinstance(count, int) else 0

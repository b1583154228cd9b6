"""The API as the commands see it.

Problem: a pipeline's network drops now and then, and a step that hangs or dies with a traceback is worse than one that
says what is wrong. Solution: short timeouts, a few bounded retries of what may be repeated, and every failure as one
sentence that says what to do.
"""

import os
import time
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from onejob.cli.errors import RefusedError, UnknownError, UnreachableError, UsageError

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
PAUSES_S = (0.5, 1.5)  # before the second and the third try
_MAY_PASS = (429, 502, 503, 504)
_LONGEST_RETRY_AFTER_S = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Document = dict[str, Any]


class Api:
    """A server of onejob. Every method returns the JSON document of the answer or raises a CliError."""

    def __init__(self, url: str, *, read_timeout_s: float = READ_TIMEOUT_S) -> None:
        import httpx

        parsed = _parse(url)
        self.shown_url = str(parsed.copy_with(username=None, password=None)).rstrip("/")
        self._client = httpx.Client(
            base_url=parsed,
            timeout=httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
            headers={"accept": "application/json"} | _authorization(),
            trust_env=parsed.host not in _LOOPBACK,  # a proxy of the environment cannot reach our own loopback
        )

    def get(self, path: str, **params: Any) -> Document:
        """Parameters that are None are left out."""
        return self._send("GET", path, params={name: value for name, value in params.items() if value is not None})

    def text(self, path: str) -> str:
        """A page instead of a document."""
        response = self._try("GET", path, False, {"headers": {"accept": "text/html"}}, is_last=True)
        if response is None or not response.is_success:
            raise UnreachableError(f"The server at {self.shown_url} has no page {path}.")
        return response.text

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, is_repeatable: bool = False) -> Document:
        """`is_repeatable`: the server takes the same request twice as one, so it may be sent again."""
        return self._send("POST", path, json=dict(body or {}), is_repeatable=is_repeatable)

    def send_bytes(self, path: str, content: bytes, media_type: str) -> Document:
        """POST what is no JSON, to an address that takes the same twice as one."""
        return self._send("POST", path, content=content, headers={"content-type": media_type})

    def delete(self, path: str) -> Document:
        """What is gone stays gone, so it may be sent again."""
        return self._send("DELETE", path)

    def download(self, path: str, file: IO[bytes]) -> None:
        """POST, and write what is answered into `file`. Not tried again: some of it may be written."""
        import httpx

        try:
            with self._client.stream("POST", path) as response:
                if not response.is_success:
                    response.read()
                    self._document(response)
                for chunk in response.iter_bytes():
                    file.write(chunk)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise UnreachableError(
                f"No onejob server answers at {self.shown_url} ({_why(error)}): say where it is with --url."
            ) from error
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"The server at {self.shown_url} broke off ({_why(error)}): look at its log, then try again."
            ) from error

    def patch(self, path: str, body: Mapping[str, Any]) -> Document:
        """Sets fields, so it may be sent again."""
        return self._send("PATCH", path, json=dict(body))

    def put(self, path: str, body: Mapping[str, Any]) -> Document:
        """Sets what is there, so it may be sent again."""
        return self._send("PUT", path, json=dict(body))

    def _send(self, method: str, path: str, *, is_repeatable: bool = True, **arguments: Any) -> Document:
        for pause_s in PAUSES_S:
            response = self._try(method, path, is_repeatable, arguments)
            if response is not None and not (is_repeatable and response.status_code in _MAY_PASS):
                return self._document(response)
            time.sleep(pause_s if response is None else _wanted_pause_s(response, pause_s))
        last = self._try(method, path, False, arguments, is_last=True)
        assert last is not None  # noqa: S101 - the last try raises instead
        return self._document(last)

    def _try(
        self, method: str, path: str, is_repeatable: bool, arguments: Any, *, is_last: bool = False
    ) -> "httpx.Response | None":
        """None if it may be tried again."""
        import httpx

        try:
            return self._client.request(method, path.lstrip("/"), **arguments)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent yet
            if is_last:
                raise UnreachableError(
                    f"No onejob server answers at {self.shown_url} ({_why(error)}): start one with `onejob serve`, or "
                    "say where it is with --url or ONEJOB_URL."
                ) from error
        except httpx.HTTPError as error:
            if is_last or not is_repeatable:
                raise UnreachableError(
                    f"The server at {self.shown_url} broke off ({_why(error)}): look at its log, then try again."
                ) from error
        return None

    def _document(self, response: "httpx.Response") -> Document:
        document = _json(response)
        if response.is_success and document is not None:
            return document
        if document is None or (response.status_code == 404 and "detail" not in document):
            raise UnreachableError(
                f"What answers at {self.shown_url} is no onejob server (status {response.status_code}): "
                "correct --url or ONEJOB_URL; the port is the one of the pages, 8320 unless set."
            )
        raise _refusal(response.status_code, document)


def _parse(url: str) -> "httpx.URL":
    import httpx

    try:
        parsed = httpx.URL(url if "://" in url else f"http://{url}")
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"{url!r} is no URL ({error}): it looks like http://127.0.0.1:8320.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"{url!r} is no URL of a server: it looks like http://127.0.0.1:8320.")
    return parsed


def _authorization() -> dict[str, str]:
    """The token of the environment: never an argument, which everybody on the machine can read."""
    token = os.environ.get("ONEJOB_TOKEN", "").strip()
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError("ONEJOB_TOKEN is no token: it looks like onejob_api_...; `onejob token create` makes one.")
    return {"authorization": f"Bearer {token}"}


def _json(response: "httpx.Response") -> Document | None:
    try:
        document = response.json()
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _refusal(status: int, document: Document) -> RefusedError | UnknownError | UnreachableError:
    detail = document.get("detail") or document.get("title") or "no reason given"
    sentence = detail if isinstance(detail, str) else str(detail)
    if status == 401 and "ONEJOB_TOKEN" not in os.environ:
        return RefusedError(
            "The server wants to know who you are: set ONEJOB_TOKEN to a token of yours. You make one on its page "
            "Account, in a browser, once you are logged in."
        )
    if status == 404:
        return UnknownError(sentence)
    if status in _MAY_PASS:
        return UnreachableError(f"The server cannot answer now (status {status}): {sentence}")
    return RefusedError(sentence)


def _wanted_pause_s(response: "httpx.Response", pause_s: float) -> float:
    wanted = response.headers.get("retry-after", "")
    return min(float(wanted), _LONGEST_RETRY_AFTER_S) if wanted.isdigit() else pause_s


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__

"""ID tokens that must not be believed: a provider whose every answer the test decides."""

import json
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from onejob.access.errors import ProviderError
from onejob.access.provider_client import ProviderClient
from onejob.config import Settings

KEY, OTHER = (RSAKey.generate_key(2048, {"kid": name}) for name in ("one", "two"))


class Liar:
    """`documents` are its answers by path, `secrets` what clients said to be known by."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.secrets: list[str] = []
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": url,
                "token_endpoint": f"{url}/token",
                "jwks_uri": f"{url}/keys",
                "userinfo_endpoint": f"{url}/me",
            },
            "/keys": KeySet([KEY]).as_dict(private=False),
            "/me": {"sub": "u1", "groups": ["told by userinfo"]},
        }

    def says(self, key: Any = KEY, algorithm: str = "RS256", **changed: Any) -> None:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "onejob", "sub": "u1", "nonce": "n", "iat": now, "exp": now + 300} | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": algorithm, "kid": "one"}, claims, key, algorithms=[algorithm])
        self.documents["/token"] = {"access_token": "at", "id_token": token}

    def claims(self, **told: Any) -> Any:
        client = ProviderClient(Settings(oidc_issuer=self.url, **told))
        return client.claims("code", "verifier", "n", "http://x/back", datetime.now(UTC))


@pytest.fixture
def liar() -> Iterator[Liar]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            if (said := self.headers.get("authorization", "")).startswith("Basic "):
                secret = b64decode(said.removeprefix("Basic ")).decode()
                liar.secrets.append(secret)  # type: ignore[attr-defined]  # the one below
            document = liar.documents.get(self.path)  # type: ignore[attr-defined]  # the one below
            body = json.dumps(document).encode()
            self.send_response(200 if document is not None else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _reply  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    liar = Liar(f"http://127.0.0.1:{server.server_port}")
    yield liar
    server.shutdown()
    server.server_close()


def test_a_token_that_is_right_is_believed_and_the_user_document_adds_to_it(liar: Liar) -> None:
    liar.says(preferred_username="ada")
    claims = liar.claims()
    assert (claims["sub"], claims["preferred_username"]) == ("u1", "ada")
    assert claims["groups"] == ["told by userinfo"]


def test_the_secret_is_sent_as_a_form_has_it_so_that_no_letter_of_it_means_another(liar: Liar) -> None:
    liar.says(preferred_username="ada")
    liar.claims(oidc_client_secret="a+b c%:d", oidc_client_id="onejob")
    assert liar.secrets == ["onejob:a%2Bb+c%25%3Ad"]


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another"]},
        {"aud": ["onejob", "another"], "azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"at_hash": "wrong"},
    ],
)
def test_a_token_with_a_wrong_claim_is_not_believed(liar: Liar, changed: dict[str, Any]) -> None:
    liar.says(**changed)
    with pytest.raises(ProviderError, match="is not right"):
        liar.claims()


def test_a_token_signed_by_another_key_or_by_none_is_not_believed(liar: Liar) -> None:
    liar.says(OTHER)
    with pytest.raises(ProviderError, match="not signed by a key of the provider"):
        liar.claims()
    liar.says(OctKey.import_key("a secret that the client has too, long enough"), "HS256")
    with pytest.raises(ProviderError, match="not signed by a key of the provider"):
        liar.claims()
    for text in ("", "x.y.z", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSJ9."):
        liar.documents["/token"] = {"access_token": "at", "id_token": text}
        with pytest.raises(ProviderError, match="not signed by a key of the provider"):
            liar.claims()


def test_a_provider_may_change_its_keys(liar: Liar) -> None:
    client = ProviderClient(Settings(oidc_issuer=liar.url))
    liar.says()
    ask = lambda: client.claims("code", "verifier", "n", "http://x/back", datetime.now(UTC))  # noqa: E731
    ask()
    new = RSAKey.generate_key(2048, {"kid": "one"})
    liar.documents["/keys"] = KeySet([new]).as_dict(private=False)
    liar.says(new)
    assert ask()["sub"] == "u1"


def test_a_user_document_of_somebody_else_is_not_believed(liar: Liar) -> None:
    liar.says()
    liar.documents["/me"] = {"sub": "u2", "groups": ["admins"]}
    with pytest.raises(ProviderError, match="somebody else's"):
        liar.claims()


def test_a_provider_that_is_another_is_not_asked(liar: Liar) -> None:
    liar.documents["/.well-known/openid-configuration"]["issuer"] = "https://evil.example"
    with pytest.raises(ProviderError, match="ONEJOB_OIDC_ISSUER"):
        liar.claims()


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ({"oidc_required_amr": ("mfa", "hwk")}, {"amr": ["pwd", "mfa"]}),
        ({"oidc_required_amr": ("mfa", "hwk")}, {"amr": ["hwk"]}),
        ({"oidc_required_acr": ("urn:two", "urn:three")}, {"acr": "urn:three"}),
        ({"oidc_required_acr": ("urn:two",), "oidc_required_amr": ("otp",)}, {"acr": "urn:two", "amr": ["pwd", "otp"]}),
        ({}, {}),
    ],
)
def test_a_login_that_is_as_strong_as_the_settings_want_is_taken(
    liar: Liar, required: dict[str, Any], said: dict[str, Any]
) -> None:
    liar.says(**said)
    assert liar.claims(**required)["sub"] == "u1"


@pytest.mark.parametrize(
    ("required", "said", "why"),
    [
        ({"oidc_required_amr": ("mfa", "hwk")}, {"amr": ["pwd"]}, "by mfa or hwk, and of yours it says pwd"),
        ({"oidc_required_amr": ("mfa",)}, {"amr": []}, "of yours it says nothing"),
        ({"oidc_required_amr": ("mfa",)}, {}, "of yours it says nothing"),
        ({"oidc_required_amr": ("mfa",)}, {"acr": "mfa"}, "of yours it says nothing"),
        ({"oidc_required_amr": ("mfa",)}, {"amr": [{"mfa": 1}, 7]}, "of yours it says nothing"),
        ({"oidc_required_acr": ("urn:two",)}, {"acr": "0"}, "by urn:two, and of yours it says 0"),
        ({"oidc_required_acr": ("urn:two",), "oidc_required_amr": ("otp",)}, {"acr": "urn:two"}, "by otp"),
    ],
)
def test_a_login_that_is_weaker_is_refused_with_what_to_do(
    liar: Liar, required: dict[str, Any], said: dict[str, Any], why: str
) -> None:
    liar.says(**said)
    with pytest.raises(ProviderError, match=f"{why}.*log out there"):
        liar.claims(**required)


def test_how_strong_a_login_was_is_believed_of_the_signed_token_alone(liar: Liar) -> None:
    liar.says()
    liar.documents["/me"] |= {"amr": ["mfa"]}
    with pytest.raises(ProviderError, match="of yours it says nothing"):
        liar.claims(oidc_required_amr=("mfa",))

"""A real OpenID provider in a process of its own: `python oidc_process.py` prints its port.

It is oidc-provider-mock, made stricter: PKCE with S256 and a nonce are required, and the verifier is checked.
"""

from typing import Any

import werkzeug.serving
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import _app

_challenges: dict[str, str] = {}


class Pkce(CodeChallenge):  # type: ignore[misc]
    """S256, and nothing else."""

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        super().validate_code_challenge(grant, redirect_uri)
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with S256 is required.")

    def get_authorization_code_challenge(self, authorization_code: Any) -> str:
        return _challenges[authorization_code.code]

    def get_authorization_code_challenge_method(self, authorization_code: Any) -> str:
        return "S256"


class OpenIDCodeWithPkce(_app.OpenIDCode):  # type: ignore[misc]
    """Both extensions of the code grant."""

    def __call__(self, grant: Any) -> None:
        super().__call__(grant)
        Pkce(required=True)(grant)


def main() -> None:
    save = _app.AuthorizationCodeGrant.save_authorization_code

    def save_with_challenge(self: Any, code: str, request: Any) -> None:
        _challenges[code] = request.payload.data["code_challenge"]
        save(self, code, request)

    _app.AuthorizationCodeGrant.save_authorization_code = save_with_challenge
    _app.OpenIDCode = OpenIDCodeWithPkce
    server = werkzeug.serving.make_server("127.0.0.1", 0, _app.app(require_nonce=True), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

"""What the OpenID provider is asked: its discovery document, its keys, and what a code stands for."""

import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import httpx
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from onejob.access.errors import ProviderError
from onejob.config import Settings

_WAIT_S = 10.0
_KEPT_S = 3600.0
_LEEWAY_S = 60
# Signatures by keys that only the provider has: never `none`, never one made with a secret that we hold too.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class ProviderClient:
    """Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer or ""
        self._id = settings.oidc_client_id
        secret = settings.oidc_client_secret
        self._secret = secret.get_secret_value() if secret else None
        self._role_claim = settings.oidc_role_claim
        self._required = {"acr": settings.oidc_required_acr, "amr": settings.oidc_required_amr}
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def address(self, name: str) -> str:
        """An address from the discovery document."""
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._document(url)
        if found.get("issuer") != self._issuer:
            raise ProviderError(f"The provider calls itself {found.get('issuer')!r}: set ONEJOB_OIDC_ISSUER to that.")
        address = found.get(name)
        if not isinstance(address, str):
            raise ProviderError(f"The provider's {url} has no {name}.")
        return address

    def claims(self, code: str, verifier: str, nonce: str, redirect_uri: str, now: datetime) -> Mapping[str, Any]:
        """What the provider says of whoever brought this code."""
        answer = self._redeem(code, verifier, redirect_uri)
        token = self._decoded(str(answer.get("id_token", "")))
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={"iss": {"essential": True, "value": self._issuer}, "aud": {"essential": True, "value": self._id}},
            params={"nonce": nonce, "client_id": self._id, "access_token": answer.get("access_token")},
        )
        try:
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY_S)
        except JoseError as error:
            raise ProviderError(f"The provider's ID token is not right ({error}): log in again.") from error
        self._check_strength(claims)
        return self._with_more(claims, str(answer.get("access_token", "")))

    def _redeem(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._id,
        }
        # Both are sent as a form has them (RFC 6749, section 2.3.1): a provider reads `+` in a secret as a space.
        auth = httpx.BasicAuth(quote_plus(self._id), quote_plus(self._secret)) if self._secret else None
        return _ask("POST", self.address("token_endpoint"), data=form, auth=auth)

    def _decoded(self, id_token: str) -> jwt.Token:
        """Keys change: one that is not known is looked for anew, once."""
        keys = self.address("jwks_uri")
        for is_last in (False, True):
            try:
                return jwt.decode(id_token, KeySet.import_key_set(self._document(keys)), _ALGORITHMS)
            except (JoseError, ValueError) as error:
                if is_last:
                    raise ProviderError("The provider's ID token is not signed by a key of the provider.") from error
                with self._lock:
                    self._kept.pop(keys, None)
        raise AssertionError

    def _check_strength(self, claims: Mapping[str, Any]) -> None:
        """What the ID token does not say is not there: a login of which nothing is told may be a password alone."""
        for name, wanted in self._required.items():
            told = claims.get(name)
            said = [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, str)]
            if wanted and not set(said).intersection(wanted):
                raise ProviderError(
                    f"This server wants a login at the provider by {' or '.join(wanted)}, and of yours it says "
                    f"{', '.join(said) or 'nothing'} ({name}): log out there, then log in again with a stronger one."
                )

    def _with_more(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """Some providers put groups and names into the user's document only."""
        if self._role_claim.partition(".")[0] in claims and "preferred_username" in claims:
            return claims
        try:
            address = self.address("userinfo_endpoint")
        except ProviderError:
            return claims
        told = _ask("GET", address, headers={"authorization": f"Bearer {access_token}"})
        if told.get("sub") != claims["sub"]:
            raise ProviderError("The provider's user document is somebody else's: log in again.")
        return {**told, **claims}

    def _document(self, url: str) -> Any:
        with self._lock:
            kept = self._kept.get(url)
            if kept is not None and time.monotonic() < kept[0]:
                return kept[1]
        found = _ask("GET", url)
        with self._lock:
            self._kept[url] = (time.monotonic() + _KEPT_S, found)
        return found


def _ask(method: str, url: str, **options: Any) -> Mapping[str, Any]:
    """JSON, or a ProviderError that has neither the code nor a secret in it."""
    try:
        answer = httpx.request(method, url, timeout=_WAIT_S, **options)
        document = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderError(f"The provider does not answer at {url} ({type(error).__name__}): try again.") from error
    if not answer.is_success or not isinstance(document, dict):
        reason = document.get("error") if isinstance(document, dict) else None
        raise ProviderError(f"The provider refused ({reason or answer.status_code}): log in again.")
    return document

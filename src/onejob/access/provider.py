"""Login with a company's OpenID provider: the code flow with PKCE (S256), state and nonce.

Everything the provider is asked, it is asked by us, over addresses from its own discovery document; the browser only
carries the code. What comes back is believed when the ID token's signature, issuer, audience, time and nonce are right
(OpenID Connect Core, section 3.1.3.7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from onejob.access.accounts import PROVIDER_LOGIN_LASTS, folded, is_taken
from onejob.access.errors import ProviderError
from onejob.access.provider_client import ProviderClient
from onejob.access.secrets import hash_of, new_secret
from onejob.config import Settings
from onejob.model.access import Role, User
from onejob.state.errors import ConflictError
from onejob.state.ids import new_id
from onejob.state.sessions import ProviderLogin, Sessions
from onejob.state.users import Users

_NAMES = ("preferred_username", "email", "name", "sub")


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where the browser goes, and the state it has to bring back."""

    url: str
    state: str


class Provider:
    """Thread-safe. `name` is shown on the button."""

    def __init__(self, settings: Settings, users: Users, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._users = users
        self._sessions = sessions
        self._clock = clock
        self._client = ProviderClient(settings)
        self.name = urlsplit(settings.oidc_issuer or "").hostname or "the provider"

    def leave(self, redirect_uri: str, back: str) -> Leaving:
        """Begin a login; ProviderError while the provider does not answer."""
        state, nonce, verifier = new_secret(), new_secret(), new_secret()
        required = self._settings.oidc_required_acr
        url = prepare_grant_uri(
            self._client.address("authorization_endpoint"),
            self._settings.oidc_client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=self._settings.oidc_scopes,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **({"acr_values": " ".join(required)} if required else {}),
        )
        now = self._clock()
        login = ProviderLogin(nonce=nonce, verifier=verifier, back=back)
        self._sessions.begin_login(hash_of(state), login, now, now + PROVIDER_LOGIN_LASTS)
        return Leaving(url, state)

    def arrive(self, code: str, state: str, redirect_uri: str) -> tuple[User, str]:
        """Who came back, and where they wanted to go. ProviderError says why they are not let in."""
        now = self._clock()
        login = self._sessions.end_login(hash_of(state), now)
        if login is None:
            raise ProviderError("This login was not begun here, or too long ago: log in again.")
        claims = self._client.claims(code, login.verifier, login.nonce, redirect_uri, now)
        return self._user(claims, now), login.back

    def _user(self, claims: Mapping[str, Any], now: datetime) -> User:
        role = self._role(claims)
        if role is None:
            raise ProviderError(
                f"Nothing in {self._settings.oidc_role_claim!r} gives you a role here: ask an admin of onejob."
            )
        subject = f"{claims['iss']}|{claims['sub']}"
        known = self._users.with_subject(subject)
        if known is None:
            user = User(id=new_id("usr", now), name=_name(claims), role=role, created_at=now, subject=subject)
            try:
                self._users.add(user)
            except ConflictError as error:
                raise ProviderError(
                    f"There is another user {user.name!r} here, with a password: ask an admin of onejob."
                ) from error
            return user
        if known.disabled_at is not None:
            raise ProviderError("You may not log in any more: ask an admin of onejob.")
        if known.role is role:
            return known
        # What the provider takes away is gone, even from the last admin: it can make others.
        return self._users.change(known.id, keep_an_admin=False, role=str(role))

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The one of several that may do most."""
        found = _at(claims, self._settings.oidc_role_claim)
        values = found if isinstance(found, list) else [found]
        roles = [
            self._settings.oidc_roles[one]
            for one in values
            if isinstance(one, str) and one in self._settings.oidc_roles
        ]
        return max(roles, key=list(Role).index, default=self._settings.oidc_default_role)


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by a path such as `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _name(claims: Mapping[str, Any]) -> str:
    name = folded(next(str(claims[one]) for one in _NAMES if claims.get(one)))
    name = "".join(letter if letter.isprintable() and letter != " " else "_" for letter in name)[:100]
    return f"{name}_" if is_taken(name) else name

"""The one secret that has to be known again, so that no hash will do: that of a second factor.

With a key (`ONEJOB_SECRET_KEY`) it is encrypted with AES-256-GCM, bound to its user: who reads the database, or a copy
of it, can compute no code, and who writes it can give nobody another's secret. Without a key it is kept as it is.
"""

import base64
import secrets

from onejob.access.errors import SealError

_MARK = "aes-256-gcm:"
_NONCE_BYTES = 12


class Seal:
    """`keys`: 32 bytes each. The first one seals; those behind it still open what they sealed."""

    def __init__(self, keys: tuple[bytes, ...] = ()) -> None:
        self._keys = keys

    def sealed(self, secret: str, owner: str) -> str:
        """What is kept."""
        if not self._keys:
            return secret
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - where there is no key

        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = AESGCM(self._keys[0]).encrypt(nonce, secret.encode(), owner.encode())
        return _MARK + base64.b64encode(nonce + box).decode()

    def opened(self, kept: str, owner: str) -> str:
        """The secret again; SealError where no key opens it."""
        if not kept.startswith(_MARK):
            return kept
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        box = base64.b64decode(kept.removeprefix(_MARK))
        for key in self._keys:
            try:
                return AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], owner.encode()).decode()
            except InvalidTag:
                continue
        raise SealError("Codes cannot be checked: ONEJOB_SECRET_KEY is another than before. Use a recovery code.")

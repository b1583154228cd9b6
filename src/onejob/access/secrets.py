"""Everything that is secret by being unguessable: cookies, links, tokens; and the hash that is kept of each.

They are 256 bits of chance, so one round of SHA-256 hides them; passwords, which are not, are the business of
`passwords`. Tokens begin with what they are and end with a checksum, so that scanners of source code recognise one that
was committed, and tell it from text that only looks like one:

    onejob_(api|ingest)_[0-9A-Za-z]{43}_[0-9a-f]{8}      the last part is the CRC-32 of everything before its `_`
"""

import hashlib
import re
import secrets
import zlib

from onejob.model.access import TokenKind

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHARACTERS = 43  # log2(62) * 43 = 256 bits
_TOKEN = re.compile(rf"(onejob_(api|ingest)_[0-9A-Za-z]{{{_CHARACTERS}}})_([0-9a-f]{{8}})")


def new_secret() -> str:
    """For a cookie or a link."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))


def new_token(kind: TokenKind) -> str:
    """Shown once, to whoever asked for it."""
    start = f"onejob_{kind}_{new_secret()}"
    return f"{start}_{_checksum(start)}"


def hash_of(secret: str) -> str:
    """What is kept instead of the secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def token_kind(text: str) -> TokenKind | None:
    """Which kind of token this could be; None where it cannot be one, so that nothing needs to be looked up."""
    found = _TOKEN.fullmatch(text)
    return TokenKind(found[2]) if found and _checksum(found[1]) == found[3] else None


def hidden(text: str) -> str:
    """The text with every token in it made unusable, for messages and logs."""
    return _TOKEN.sub(lambda found: f"onejob_{found[2]}_...", text)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"

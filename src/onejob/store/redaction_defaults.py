"""What is hidden when nobody says anything: names of attributes, and texts, by the name of the default.

Each text has two forms. `pattern` says what exactly is hidden; `searches` find at least that, quickly, and decide which
few rows are looked at with it. Nothing here is about attributes that verdicts are made of: see SPARED.
"""

from __future__ import annotations

from dataclasses import dataclass

KEYS: dict[str, tuple[str, ...]] = {
    "authorization": ("*authorization",),
    "cookies": ("*cookie", "*cookies"),
    "secrets": (
        "*password*", "*passwd*", "*passphrase*", "*secret", "*secret?key", "*api?key", "*apikey", "*access?key",
        "*private?key", "*credential", "*credentials", "token", "*.token", "*-token", "*_token", "*access?token*",
    ),
}  # fmt: skip

# Attributes that versions, instances, operations and routes are told by.
SPARED = (
    "service.*", "deployment.*", "container.id", "container.image.*", "oci.manifest.digest", "faas.version",
    "k8s.pod.name", "k8s.replicaset.name", "k8s.job.name", "k8s.*pod-template-hash", "k8s.*revision", "host.name",
    "process.pid", "http.route", "http.request.method", "http.method", "http.response.status_code", "http.status_code",
    "rpc.service", "rpc.method", "vcs.*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Text:
    """`rewrite` is what becomes of a match, its groups by number; `{}` stands for what hides it.

    `in_bytes` find at least that in requests as they are sent, where `searches` would find too much beside it.
    With `is_card` the second group is a number that counts only if its check digit is right.
    """

    searches: tuple[str, ...]
    pattern: str
    rewrite: str = "{}"
    is_card: bool = False
    in_bytes: tuple[str, ...] = ()


def is_card(number: str) -> bool:
    """Is its check digit right? (Luhn; ISO/IEC 7812-1, annex B). As `redaction_sql` asks."""
    digits = [int(digit) for digit in reversed(number) if digit.isdigit()]
    return (sum(digits[::2]) + sum(2 * d - (9 if d > 4 else 0) for d in digits[1::2])) % 10 == 0


_QUOTE = r"\\?[\"']?"  # behind a backslash where JSON stands in a text
_IS, _GAP = r"[ \t]*[:=][ \t]*", r"[ \t]+"
_WORD = r"[A-Za-z0-9._~+/=-]"
_NAMED = rf"(?i:password|passwd|passphrase){_QUOTE}{_IS}"
_ASSIGNED = r"(?i:secret|token|api[_-]?key|access[_-]?key)(?:[ \t]*=[ \t]*|\\?[\"'][ \t]*:[ \t]*)"
_SETS = f"(?:{_NAMED}|{_ASSIGNED})"
# Begins as no placeholder of a statement or of a template does, nor what was hidden already; then all up to where a
# value ends, whatever a password is made of.
_VALUE = r"(?:[^\s\"'\\&,;<>()\[\]{}%?$*]|%[0-9A-Fa-f]{2})"
_VALUE_GOES_ON = r"(?:[^\s\"'\\&,;<>()\[\]{}]|\\[^\"'nrt\s])*"
# Up to the quote that ends it, by which quote began it: plain, or behind a backslash where JSON stands in a text.
_TO_DOUBLE, _TO_SINGLE = r"(?:[^\"\\]|\\.)+", r"(?:[^'\\]|\\.)+"
_TO_ESCAPED_DOUBLE, _TO_ESCAPED_SINGLE = r"(?:[^\"\\]|\\{3}.|\\[^\"])+", r"(?:[^'\\]|\\{3}.|\\[^'])+"
_SIGNED = "(?i:digest|oauth|hawk|signature|(?:aws4|hmac)[A-Za-z0-9-]*)"  # schemes that say more than one word
_COOKIE = rf"(?i:\bcookie){_QUOTE}[ \t]*:[ \t]*"
_TOKENS = (
    r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",  # JSON Web Tokens
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    r"\bglpat-[A-Za-z0-9_-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\bonejob_(?:api|ingest)_[0-9A-Za-z]{43}_[0-9a-f]{8}",
)
_KEY_BEGINS = "-----BEGIN [A-Z ]*PRIVATE KEY-----"
_FURTHER = r"[^\x00-\x7f]"  # letters and digits beyond ASCII, and more
_GROUP = "[ -]?"
# Issuers' prefixes and lengths: Visa, Mastercard, Discover, UnionPay and JCB with 16 digits, American Express with 15,
# Diners Club with 14. Not within a longer number, and not behind a decimal point.
_SIXTEEN = (
    "(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|2[0-9]{2}|4[4-9][0-9]|5[0-9]{2})|35[2-8][0-9])"
    f"(?:{_GROUP}[0-9]{{4}}){{3}}"
)
_FIFTEEN = f"3[47][0-9]{{2}}{_GROUP}[0-9]{{6}}{_GROUP}[0-9]{{5}}"
_FOURTEEN = f"3(?:0[0-5]|[68][0-9])[0-9]{_GROUP}[0-9]{{6}}{_GROUP}[0-9]{{4}}"

TEXTS: dict[str, Text] = {
    "authorization": Text(
        (rf"(?i)\b(?:bearer|basic){_GAP}{_WORD}{{20}}", rf"(?i)authorization{_QUOTE}{_IS}"),
        rf"((?i:\b(?:bearer|basic)){_GAP}){_WORD}{{20,}}"
        rf"|((?i:authorization){_QUOTE}{_IS}{_QUOTE}{_SIGNED}{_GAP})[^\[\r\n][^\r\n]*"
        rf"|((?i:authorization){_QUOTE}{_IS}{_QUOTE})[^\s\"'\\,;\[]+(?: +[^\s\"'\\,;]+)?",
        r"\1\2\3{}",
    ),
    "cookies": Text(
        (rf"(?i)\bcookie{_QUOTE}[ \t]*:",),
        rf"({_COOKIE}\"){_TO_DOUBLE}|({_COOKIE}\\\"){_TO_ESCAPED_DOUBLE}|({_COOKIE}\\?'){_TO_SINGLE}"
        rf"|({_COOKIE})[^\s\"'\\\[][^\r\n]*",
        r"\1\2\3\4{}",
    ),
    "secrets": Text(
        (rf"{_SETS}(?:\\?[\"'].|{_VALUE})", *_TOKENS, _KEY_BEGINS, r"://[^\s/@:]*:[^\s/@]+@"),
        rf"({_SETS}\"){_TO_DOUBLE}|({_SETS}\\\"){_TO_ESCAPED_DOUBLE}"
        rf"|({_SETS}'){_TO_SINGLE}|({_SETS}\\'){_TO_ESCAPED_SINGLE}"
        rf"|({_SETS}){_VALUE}{_VALUE_GOES_ON}|(://)[^\s/@:\"']*:[^\s/@\"']+(?:@[^\s/@\"'&,;?#]+)*(@)"
        rf"|{'|'.join(_TOKENS)}|{_KEY_BEGINS}[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
        r"\1\2\3\4\5\6{}\7",
    ),
    "email": Text(
        (r"@[^\s@]+\.[^\s@]",),
        r"[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)*\.\pL{2,}",
        in_bytes=(rf"(?:[0-9A-Za-z._%+-]|{_FURTHER})@(?:[0-9A-Za-z.-]|{_FURTHER})+\.(?:[A-Za-z]|{_FURTHER}){{2}}",),
    ),
    "card_numbers": Text(
        (r"[2-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{2}[ -]?[0-9]{2}[ -]?[0-9]{2,4}\b",),
        rf"(^\.?|[^0-9A-Za-z_.]|[^0-9]\.)({_SIXTEEN}|{_FIFTEEN}|{_FOURTEEN})\b",
        r"\1{}",
        is_card=True,
    ),
}

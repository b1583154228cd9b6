"""The route of a path: what a framework would have called it.

Problem: an access log has `/orders/8412/items`, and each order would be an operation of its own. Names without a digit
(`/blog/how-we-deploy`) look like words of a route, and a scanner asks for a thousand paths that never were. Solution:
what looks like an id is `{id}`; below a prefix with too many different words, they are `{name}` from then on; and only
a path that was answered teaches words, so that what nobody serves has no route.

    /orders/8412/items        ->  /orders/{id}/items
    /blog/how-we-deploy       ->  /blog/{name}, after the fiftieth such post
    /static/app.3f9a2c1b.js   ->  /static/{id}.js
    /wp-login.php, 404        ->  no route
"""

import re
from collections.abc import Iterable

from onejob.tail.errors import FormatError

MOST_WORDS = 50  # below one prefix: a service has fewer handlers there, and a site has more pages
_MOST_PREFIXES = 1000  # that are remembered
_MOST_SEGMENTS = 8
_LONGEST_WORD = 40

_ID, _NAME, _REST = "{id}", "{name}", "{rest}"
_API_VERSION = re.compile(r"v\d{1,3}(?:\.\d{1,3})*")
_WORD = re.compile(r"[A-Za-z._~-]*")
_WITH_DIGITS = re.compile(r"[A-Za-z][A-Za-z_]*\d{1,2}")  # http2, step_2, oauth2
_FILE = re.compile(r"(.*[0-9A-Za-z_~-].*)\.([A-Za-z][A-Za-z0-9]{0,4})")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{16,}")
_MIXED_CASE = re.compile(r"(?:[a-z]+[A-Z]|[A-Z]{2,}[a-z]+[A-Z]).*")
_LONGEST_MIXED = 20  # camelCase is a word, a token is longer
_TEMPLATE = re.compile(r"/(?:[^{}?#\s]|\{[A-Za-z_]\w*\*?\})*")
_VARIABLE = re.compile(r"\{([A-Za-z_]\w*)(\*?)\}")

_OK = range(200, 400)
_FAILED = range(500, 600)


class Routes:
    """Remembers words below prefixes. `templates` (`/blog/{slug}`, `/files/{path*}`) come first, in their order.

    `named` are the prefixes known to have too many words. FormatError for what is no template.
    """

    def __init__(self, templates: Iterable[str] = (), named: Iterable[str] = ()) -> None:
        self._templates = [(_compiled(template), template) for template in templates]
        self._words: dict[str, set[str]] = {}
        self.named = set(named)

    def route(self, path: str, status: int) -> str:
        """Empty where the path is of none."""
        for pattern, template in self._templates:
            if pattern.fullmatch(path):
                return template
        if not path.startswith("/"):
            return ""
        teaches = status in _OK or status in _FAILED
        prefix = ""
        segments = path[1:].split("/")
        for segment in segments[:_MOST_SEGMENTS]:
            found = self._segment(prefix, shape(segment), teaches)
            if not found and segment:
                return ""
            prefix += f"/{found}"
        return prefix if len(segments) <= _MOST_SEGMENTS else f"{prefix}/{_REST}"

    def _segment(self, prefix: str, word: str, teaches: bool) -> str:
        """The word as it stands in the route; empty where it is not known and must not be learnt."""
        if word in ("", _ID) or word in self._words.get(prefix, ()):
            return word
        if prefix in self.named:
            return _NAME
        return self._learnt(prefix, word) if teaches else ""

    def _learnt(self, prefix: str, word: str) -> str:
        if prefix not in self._words and len(self._words) + len(self.named) >= _MOST_PREFIXES:
            return _NAME
        words = self._words.setdefault(prefix, set())
        words.add(word)
        if len(words) <= MOST_WORDS:
            return word
        self.named.add(prefix)
        self._forget(prefix)
        return _NAME

    def _forget(self, prefix: str) -> None:
        """What was remembered below words that are one name now."""
        for known in [known for known in self._words if known == prefix or known.startswith(f"{prefix}/")]:
            del self._words[known]


def shape(segment: str) -> str:
    """`{id}` for what looks like one, with the ending of a file; else the segment itself."""
    if _API_VERSION.fullmatch(segment):
        return segment
    if "@" not in segment and (file := _FILE.fullmatch(segment)):
        return _ID + "." + file[2].lower() if _is_id(file[1]) else segment
    return _ID if _is_id(segment) else segment


def _is_id(text: str) -> bool:
    if len(text) > _LONGEST_WORD or not text.isascii() or "@" in text or "%" in text:
        return True
    if _HEXADECIMAL.fullmatch(text) or (len(text) >= _LONGEST_MIXED and _MIXED_CASE.fullmatch(text)):
        return True
    return not (_WORD.fullmatch(text) or _WITH_DIGITS.fullmatch(text))


def _compiled(template: str) -> re.Pattern[str]:
    if not _TEMPLATE.fullmatch(template):
        raise FormatError(f"{template!r} is no route: write it as /orders/{{id}}/items or /files/{{path*}}.")
    pattern, at = "", 0
    for found in _VARIABLE.finditer(template):
        pattern += re.escape(template[at : found.start()]) + (".+" if found[2] else "[^/]+")
        at = found.end()
    return re.compile(pattern + re.escape(template[at:]))

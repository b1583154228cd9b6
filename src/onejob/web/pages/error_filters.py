"""The query string of the list of errors as a value, and the links that change one thing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from onejob.model.known_error import ErrorStatus
from onejob.state.error_lists import ErrorFilter, Order

STATUSES = {"new": "new", "ongoing": "ongoing", "resolved": "resolved", "regressed": "came back"}
KINDS = {"error": "exceptions", "log_template": "log messages"}
LEVELS = {"": "Warnings and errors", "error": "Errors only", "all": "All levels"}
_LEAST = {"": 13, "error": 17, "all": 0}
_FIELDS = ("text", "service", "environment", "version", "new_in", "status", "kind", "level", "order")
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the list was asked for: each of `_FIELDS`, empty if unsaid. `problems`: what was not understood."""

    values: Mapping[str, str]
    cursor: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the level and the order is asked for."""
        return any(value for name, value in self.values.items() if name not in ("level", "order"))

    @property
    def order(self) -> Order:
        """By which moment."""
        return "first_seen" if self.values["order"] == "first_seen" else "last_seen"

    def wanted(self) -> ErrorFilter:
        """The filter the repositories understand."""
        said = {name: value or None for name, value in self.values.items()}
        return ErrorFilter(
            service=said["service"],
            environment=said["environment"],
            version=said["version"],
            new_in=said["new_in"],
            status=ErrorStatus(said["status"]) if said["status"] else None,
            kind=said["kind"],
            least_severity=_LEAST[self.values["level"]],
            text=said["text"],
        )

    def link(self, base: str = "/errors", **changes: str) -> str:
        """This view with some values changed; an empty value removes it. A change starts at the first page."""
        left = {name: value for name, value in {**self.values, **changes}.items() if value}
        return f"{base}?{urlencode(left)}" if left else base

    def api_link(self) -> str:
        """The same as JSON."""
        values = {name: value for name, value in self.values.items() if value and name != "level"}
        least = _LEAST[self.values["level"]]
        return "/api/v1/errors?" + urlencode(values | {"least_severity": str(least)})


def parse(values: Mapping[str, str]) -> Query:
    """Unknown values are reported and ignored; a link from elsewhere must never end in an error page."""
    said = {name: values.get(name, "").strip()[:_LONGEST] for name in _FIELDS}
    orders = {"first_seen": "", "last_seen": ""}
    known: dict[str, Mapping[str, str]] = {"status": STATUSES, "kind": KINDS, "level": LEVELS, "order": orders}
    problems = [
        f"{name} “{said[name][:40]}” is not known; use one of {', '.join(one for one in allowed if one)}."
        for name, allowed in known.items()
        if said[name] and said[name] not in allowed
    ]
    kept = {name: value if name not in known or value in known[name] else "" for name, value in said.items()}
    return Query(values=kept, cursor=values.get("cursor", "")[:300], problems=problems)


def error_link(error_id: str, **values: str) -> str:
    """The page of one error."""
    base = f"/errors/{quote(error_id, safe='')}"
    return f"{base}?{urlencode(values)}" if values else base

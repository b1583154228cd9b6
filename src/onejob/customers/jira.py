"""What a webhook of Jira says of a complaint. Cloud and Data Center send alike (REST v2's form of an issue).

Facts this rests on, from Atlassian's documentation of webhooks:

- `webhookEvent` is `jira:issue_created`, `jira:issue_updated` or `jira:issue_deleted`; whatever happened to an issue,
  its present fields are all there, so no changelog is read. Comments and so on have another name and less of the issue;
- `timestamp` is when it happened, in milliseconds. Deliveries are repeated until they are answered with 2xx, and may
  come out of order;
- `issue.id` stays when an issue moves to another project, `issue.key` does not; `issue.self` says which Jira it is of;
- times in fields are ISO 8601 with an offset such as -0800; a status is over in the category `done`;
- a custom field is a text or number, an option (`value`), a user (`displayName`, ...), an organisation of Service
  Management (`name`), or a list of these.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import MAX_NAME_CHARS
from onejob.model.complaint import Told, Withdrawn

SOURCE = "jira"
MAX_SUMMARY_CHARS = 500
_OF_ISSUES = ("jira:issue_created", "jira:issue_updated", "jira:issue_deleted")
_NAMES = ("value", "name", "displayName", "accountId", "key")  # of an object, which one names it
_LABELS = "labels"


def read(payload: object, places: Sequence[str], now: datetime) -> Told | Withdrawn | str:
    """What is said of a ticket, or why it is nothing to record. `places` say where the customer is named.

    InvalidReportError if it is no webhook of Jira.
    """
    event = _text(payload, "webhookEvent")
    if not isinstance(payload, Mapping) or not event:
        raise InvalidReportError("webhookEvent", "webhookEvent is missing: send what Jira's webhooks send.")
    if event not in _OF_ISSUES:
        return f"{event[:60]} is about no ticket itself."
    issue = payload.get("issue")
    where = _parts(_text(issue, "self"))
    number, key = _text(issue, "id"), _text(issue, "key")
    if not isinstance(issue, Mapping) or not number or not where.netloc:
        raise InvalidReportError("issue", "issue has no id or no self: send what Jira's webhooks send.")
    base = where.path.partition("/rest/api/")[0]
    external_id = f"{where.netloc}{base}/{number}"[:MAX_SUMMARY_CHARS]
    told_at = _told_at(payload, now)
    if event == "jira:issue_deleted":
        return Withdrawn(source=SOURCE, external_id=external_id, told_at=told_at, is_deleted=True)
    fields = issue.get("fields")
    fields = fields if isinstance(fields, Mapping) else {}
    customer = _customer(fields, places)
    if not customer:  # no customer's, or no customer's any more
        return Withdrawn(source=SOURCE, external_id=external_id, told_at=told_at)
    return Told(
        source=SOURCE,
        external_id=external_id,
        reference=_shown(key)[:MAX_NAME_CHARS] or number,
        customer=customer,
        at=min(_created(fields) or told_at, now),
        summary=_shown(_text(fields, "summary"))[:MAX_SUMMARY_CHARS],
        told_at=told_at,
        url=f"{where.scheme}://{where.netloc}{base}/browse/{_shown(key)}" if _is_link(where.scheme, key) else None,
        is_closed=_is_over(fields),
    )


def _customer(fields: Mapping[str, Any], places: Sequence[str]) -> str:
    for place in places:
        path, _, prefix = place.partition(":")
        found = next((name for name in _names(_at(fields, path.split("."))) if name.startswith(prefix)), "")
        name = _shown(found.removeprefix(prefix))[:MAX_NAME_CHARS]
        if name:
            return name
    return ""


def _at(fields: Mapping[str, Any], path: Sequence[str]) -> object:
    found: object = fields
    for step in path:
        if isinstance(found, list) and found:
            found = found[0]
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _names(value: object) -> list[str]:
    """The texts that a field holds: several of a list, one of anything else."""
    if isinstance(value, list):
        return [name for one in value for name in _names(one)]
    if isinstance(value, Mapping):
        return [name for name in [next((_text(value, each) for each in _NAMES if _text(value, each)), "")] if name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return []
    return [str(value)]


def _told_at(payload: Mapping[str, Any], now: datetime) -> datetime:
    """Never ahead of now: a wrong clock must not shut out what comes later."""
    stamp = payload.get("timestamp")
    if isinstance(stamp, int | float) and not isinstance(stamp, bool) and 0 < stamp < 1e14:
        return min(datetime.fromtimestamp(stamp / 1000, UTC), now)
    return now


def _created(fields: Mapping[str, Any]) -> datetime | None:
    try:
        at = datetime.fromisoformat(_text(fields, "created"))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at


def _is_over(fields: Mapping[str, Any]) -> bool:
    return _text(_at(fields, ("status", "statusCategory")), "key") == "done"


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_link(scheme: str, key: str) -> bool:
    return scheme in ("http", "https") and key.replace("-", "").replace("_", "").isalnum()


def _text(value: object, name: str) -> str:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


def _shown(text: str) -> str:
    """On one line, in characters that every database keeps."""
    kept = text.encode("utf-8", "replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in kept).split())

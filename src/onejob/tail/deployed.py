"""The version of a line that does not say its own: the one that was deployed at its time.

A verdict counts requests of a version, and those without one belong to no deployment. So where a log has no version,
reported deployments tell: from its start on, a deployment's version serves. What a canary or a green half serves beside
the old version cannot be told apart in such a log, so while they last, lines have none.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onejob.tail import times
from onejob.tail.errors import FormatError
from onejob.tail.patience import Patience

Document = Mapping[str, Any]
Ask = Callable[[], Sequence[Document]]

_BESIDE = ("canary", "blue_green")  # strategies by which two versions serve for long
_UNDONE = ("rolled_back", "failed")


class Deployed:
    """`ask` gives the newest deployments of the service as the API's documents, or raises UnavailableError."""

    def __init__(self, ask: Ask, patience: Patience, say: Callable[[str], None], clock_ns: Callable[[], int]) -> None:
        self._ask = ask
        self._patience = patience
        self._say = say
        self._clock_ns = clock_ns
        self._asked_ns = 0
        self._starts: list[int] = []
        self._versions = [""]  # before the first start, and from each one on
        self._told: set[str] = set()

    def know(self, newest_ns: int) -> None:
        """Ask until what is known is younger than this moment. Raises what Patience does."""
        if self._asked_ns and newest_ns < self._asked_ns:
            return
        asked_ns = self._clock_ns()
        self._patience.until(self._refresh)
        self._asked_ns = asked_ns

    def version(self, at_ns: int) -> str:
        """Empty where none is known."""
        number = bisect_right(self._starts, at_ns)
        return self._versions[number]

    def _refresh(self) -> None:
        found = sorted(self._ask(), key=lambda one: str(one["started_at"]))
        places = {one["environment"] for one in found}
        if len(places) > 1:
            raise FormatError(
                f"This service is deployed in several environments ({', '.join(sorted(places))}): say which one the "
                "log is of, with --environment."
            )
        changes = sorted(change for one in found for change in _changes(one))
        before = str(found[0]["previous_version"] or "") if found else ""
        self._starts = [at_ns for at_ns, _ in changes]
        self._versions = [before, *(version for _, version in changes)]
        for one in found:
            self._remark(one)

    def _remark(self, one: Document) -> None:
        if _is_beside(one) and one["status"] == "in_progress" and one["id"] not in self._told:
            self._told.add(one["id"])
            self._say(
                f"Two versions serve while {one['version']} is rolled out, and the log does not tell which one "
                "answered: log it, see docs/how-to-access-logs.md. Until it has finished, lines have no version."
            )


def _changes(one: Document) -> list[tuple[int, str]]:
    """From when on which version serves."""
    version, before = str(one["version"]).partition("@")[0], str(one["previous_version"] or "")
    is_undone, is_beside = one["status"] in _UNDONE, _is_beside(one)
    changes = [(times.iso(one["started_at"]), "" if is_beside else version)]
    if one["finished_at"] and (is_undone or is_beside):
        changes.append((times.iso(one["finished_at"]), before if is_undone else version))
    return changes


def _is_beside(one: Document) -> bool:
    """Does the old version serve on for long? Not where the deployment brings it back."""
    return one["strategy"] in _BESIDE and not one.get("rollback_of")

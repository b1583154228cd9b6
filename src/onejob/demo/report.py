"""What was shipped, what the judge said, and whether that was true: the demo's result as data and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from onejob.demo.truth import Truth, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One deployment of the story; the field names are those of the report.

    `seconds_to_verdict` and `requests_to_verdict` count from the first customer's request to the new version;
    `seconds_to_rollback` from the verdict until no request went there any more. None where there was no such thing.
    """

    version: str
    truth: str
    verdict: str
    sentence: str
    seconds_to_verdict: float | None
    requests_to_verdict: int | None
    rolled_back: bool
    seconds_to_rollback: float | None
    explained_operation: str | None
    explained_attribute: str | None
    explained_span: str | None
    true_operation: str | None
    true_attribute: str | None
    true_span: str | None

    @property
    def is_right(self) -> bool:
        """A bad version is `worse`, a better one `better`, and a harmless one neither."""
        if self.truth == Truth.HARMLESS:
            return self.verdict not in (Truth.WORSE, Truth.BETTER)
        return self.verdict == self.truth


def document(seed: int, seconds_total: float, shipped: Sequence[Shipped]) -> dict[str, object]:
    return {
        "seed": seed,
        "seconds_total": round(seconds_total, 1),
        "deployments": [asdict(each) for each in shipped],
    }


def write(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def is_all_right(planned: Sequence[Version], shipped: Sequence[Shipped]) -> bool:
    return len(shipped) == len(planned) and all(each.is_right for each in shipped)

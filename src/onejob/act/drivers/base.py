"""What every driver does: set the share of traffic the new version gets, read it back, count what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from onejob.model.evidence import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounters:
    """Counts of one arm since the router started.

    `requests` ended at the router, `answered` of them with an answer of the version's or the router's own; `failed` of
    them failed, each counted once. `timeouts` of the failed ones ended because the router or the client stopped
    waiting. `resets` are attempts refused, reset or closed; the router may have repeated them with success.
    `answered` only ever grows until the router is restarted; the others may be off by a few for a moment.
    """

    requests: int
    answered: int
    failed: int
    resets: int
    timeouts: int


class TrafficDriver(Protocol):
    """Moves traffic. Every call ends within a few seconds; DriverError says what to do."""

    def check(self) -> None:
        """Raise DriverError if the router does not answer, or cannot do what a rollout needs."""

    def set_share(self, share: float) -> None:
        """Send `share` (0..1) to the new version, and return once that is in force. Repeating it changes nothing."""

    def read_share(self) -> float | None:
        """The share in force; None while the router goes by its own configuration."""

    def read_counts(self) -> Mapping[Arm, ArmCounters]:
        """Counts since the router's start; lower ones than before mean that it was restarted."""

    def close(self) -> None:
        """Let go of connections."""

"""When customers reached a version and when no more did: measured by the demo itself, from Envoy's own counters."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestsSeen:
    """Samples of how many requests were ever sent to one slot; the first sample is from before the version's first.

    Times are Unix seconds. Between two samples the counter is taken to rise evenly.
    """

    samples: list[tuple[float, int]] = field(default_factory=list)

    def add(self, at: float, total: int) -> None:
        self.samples.append((at, total))

    @property
    def total(self) -> int:
        return self.samples[-1][1] - self.samples[0][1] if self.samples else 0

    def first_at(self) -> float | None:
        """The last time at which there had been none: the first request came right after it."""
        return next((a for (a, x), (_, y) in self._pairs() if y > x), None)

    def last_at(self) -> float | None:
        """The first time at which the counter had its present value: no request came after it."""
        return next((b for (_, x), (b, y) in reversed(self._pairs()) if y > x), None)

    def until(self, at: float) -> int:
        """Requests sent up to a moment."""
        if not self.samples or at <= self.samples[0][0]:
            return 0
        for (a, x), (b, y) in self._pairs():
            if at < b:
                return round(x + (y - x) * (at - a) / (b - a)) - self.samples[0][1]
        return self.total

    def _pairs(self) -> list[tuple[tuple[float, int], tuple[float, int]]]:
        return list(zip(self.samples, self.samples[1:], strict=False))

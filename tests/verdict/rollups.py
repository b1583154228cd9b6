"""Days of a service's requests, as rows of the rollup: cheaper than their spans."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from onejob.store.engine import Engine

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BEGAN = int(time.time()) // DAY * DAY - DAY + 9 * HOUR  # yesterday at nine, in the morning's rise
OPERATIONS = ("GET /cart", "POST /orders")


@dataclass(frozen=True)
class Service:
    """Requests a minute with a day in it; what `change` makes of (requests, errors, seconds) from `since` on."""

    days: float = 1.2
    per_minute: float = 150.0
    error_rate: float = 0.01
    since: int = 0  # seconds after the deployment
    lasts: int = DAY
    requests: float = 1.0
    errors: float = 1.0
    slower: float = 1.0
    is_deployed: bool = True
    replaced: int = DAY  # seconds after the deployment at which the next version takes over

    def rows(self, service: str, seed: int, environment: str = "production") -> Iterator[str]:
        """Cells of a minute each, as lines of JSON."""
        rng = np.random.default_rng(seed)
        for at in range(BEGAN - int(self.days * DAY), BEGAN + 70 * MINUTE, MINUTE):
            day = 1 + 0.6 * np.sin(2 * np.pi * (at % DAY) / DAY - np.pi / 2)
            requests, errors, slower = (
                (self.requests, self.errors, self.slower)
                if 0 <= at - BEGAN - self.since < self.lasts
                else (1.0, 1.0, 1.0)
            )
            for operation in OPERATIONS:
                n = int(rng.poisson(self.per_minute * day * requests))
                failed = int(rng.binomial(n, min(1.0, self.error_rate * errors)))
                seconds = 0.03 * slower * (0.8 + 0.2 * day) * np.exp(rng.normal(0, 0.4, n))
                version = self._version(at - BEGAN)
                if n:
                    row = a_row(service, operation, version, at, failed, seconds)
                    yield json.dumps(row | {"Environment": environment})

    def _version(self, at: int) -> str:
        if at < 0 or not self.is_deployed:
            return "1"
        return "2" if at < self.replaced else "3"


def moment(after_s: float) -> datetime:
    return datetime.fromtimestamp(BEGAN + after_s, UTC)


def a_row(service: str, operation: str, version: str, at: int, failed: int, seconds: np.ndarray) -> dict[str, object]:
    index, count = np.unique(np.ceil(np.log2(seconds) * 32).astype(int) - 1, return_counts=True)
    return {
        "ServiceName": service,
        "Environment": "production",
        "Operation": operation,
        "SpanKind": "Server",
        "Version": version,
        "VersionSource": "service.version",
        "Instance": f"i-{version}",
        "Bin": at,
        "Count": len(seconds),
        "Errors": failed,
        "Buckets": dict(zip(index.tolist(), count.tolist(), strict=True)),
    }


def store(engine: Engine, rows: Iterable[str]) -> None:
    if lines := list(rows):
        engine.execute("INSERT INTO operation_rollup FORMAT JSONEachRow " + "\n".join(lines))

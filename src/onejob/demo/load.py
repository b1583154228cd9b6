"""Customers: a process of its own that behaves like the businesses that shop here.

Tenants come in three sizes. There are many small ones, each here now and then, and a few large ones that are always
here. A customer's visit is a few clicks with time to think in between; what a visit is about differs by size, because
businesses of different size shop differently. Visits start at random (Poisson) and do not wait for each other, so a
slow shop does not get fewer customers.

The rates are chosen so that each endpoint where prices are read has two sizes with 40 % of its traffic each.
"""

import argparse
import asyncio
import json
import random
import time
from dataclasses import dataclass, field

import uvloop

from onejob.demo.http1 import Connections

PAYMENT_METHODS = ("card", "invoice", "paypal", "sepa")
THINK_S = (0.2, 1.2)
REQUEST_TIMEOUT_S = 8.0
REPORT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How customers of tenants of one size behave; the last five are chances that a visit includes the click."""

    size: str
    tenants: int
    visits_per_s: float
    catalog: float
    basket: float
    quote: float
    order: float
    delivery: float


HABITS = (
    Habit(size="small", tenants=60, visits_per_s=12.6, catalog=0.15, basket=0.70, quote=0.35, order=1.0, delivery=0.21),
    Habit(size="medium", tenants=15, visits_per_s=8.8, catalog=0.15, basket=1.0, quote=1.0, order=0.716, delivery=0.21),
    Habit(size="large", tenants=4, visits_per_s=12.6, catalog=0.15, basket=0.35, quote=0.70, order=1.0, delivery=0.21),
)


def sizes_with_40_percent(click: str) -> tuple[str, ...]:
    """The sizes that make two fifths of one click's traffic."""
    rates = {habit.size: habit.visits_per_s * float(getattr(habit, click)) for habit in HABITS}
    return tuple(size for size, rate in rates.items() if 0.38 < rate / sum(rates.values()) < 0.42)


@dataclass(slots=True)
class Tally:
    """What customers met since the last report."""

    requests: int = 0
    failures: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, status: int, seconds: float) -> None:
        self.requests += 1
        self.failures += status >= 500
        self.seconds.append(seconds)

    def report(self, elapsed_s: float) -> str:
        ordered = sorted(self.seconds) or [0.0]
        return json.dumps(
            {
                "at": time.time(),
                "rate": round(self.requests / elapsed_s, 1),
                "failures": self.failures,
                "p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
                "p95_ms": round(1000 * ordered[int(len(ordered) * 0.95)], 1),
            }
        )


class Customers:
    def __init__(self, shop: Connections, dice: random.Random) -> None:
        self._shop = shop
        self._dice = dice
        self._visits: set[asyncio.Task[None]] = set()
        self.tally = Tally()

    async def come(self, habit: Habit) -> None:
        while True:
            await asyncio.sleep(self._dice.expovariate(habit.visits_per_s))
            visit = asyncio.create_task(self._visit(habit))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)

    async def _visit(self, habit: Habit) -> None:
        tenant = f"{habit.size[0]}-{self._dice.randint(1, habit.tenants)}"
        for method, path, body in self._clicks(habit):
            await self._click(method, path, tenant, body)
            await asyncio.sleep(self._dice.uniform(*THINK_S))

    def _clicks(self, habit: Habit) -> list[tuple[str, str, bytes]]:
        dice = self._dice
        basket = dice.randint(1, 200)
        wanted = json.dumps({"basket": basket, "payment_method": dice.choice(PAYMENT_METHODS)}).encode()
        clicks = [
            (habit.catalog, "GET", f"/catalog?category={dice.randint(0, 19)}", b""),
            (habit.basket, "GET", f"/basket?basket={basket}", b""),
            (habit.quote, "POST", "/quote", wanted),
            (habit.delivery, "GET", f"/delivery?region={dice.randint(0, 9)}", b""),
            (habit.order, "POST", "/order", wanted),
        ]
        return [(method, path, body) for chance, method, path, body in clicks if dice.random() < chance]

    async def _click(self, method: str, path: str, tenant: str, body: bytes) -> None:
        started = time.monotonic()
        try:
            status = await asyncio.wait_for(self._shop.request(method, path, tenant, body), REQUEST_TIMEOUT_S)
        except (OSError, EOFError, TimeoutError):
            status = 599
        self.tally.add(status, time.monotonic() - started)


async def _report(customers: Customers) -> None:
    while True:
        started = time.monotonic()
        await asyncio.sleep(REPORT_EVERY_S)
        tally, customers.tally = customers.tally, Tally()
        print(tally.report(time.monotonic() - started), flush=True)


async def _run(port: int) -> None:
    customers = Customers(Connections("127.0.0.1", port), random.Random())
    await asyncio.gather(*(customers.come(habit) for habit in HABITS), _report(customers))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m onejob.demo.load")
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_run(parser.parse_args().port))


if __name__ == "__main__":
    main()

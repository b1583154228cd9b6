"""What is really wrong with which version: drawn from the seed, known to the demo alone.

The server learns of a version by the same two ways as of any other: a deployment is reported, and spans arrive.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from onejob.demo.load import PAYMENT_METHODS, sizes_with_40_percent
from onejob.demo.shop.variant import BASKET, ORDER, QUOTE, Breakdown, Variant

SERVICE = "checkout"
FIRST_VERSION = "v1"
REPEATED_QUERY = "SELECT product_id, price FROM prices WHERE product_id = ANY(?)"
FAILING_CALL = "POST /charges"
_CLICK_OF = {BASKET: "basket", QUOTE: "quote", ORDER: "order"}


class Truth(StrEnum):
    """What a version really is."""

    HARMLESS = "harmless"
    WORSE = "worse"
    BETTER = "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version to ship, and what a perfect explanation of it would name (None where there is nothing to blame)."""

    name: str
    about: str
    truth: Truth
    variant: Variant
    operation: str | None = None
    attribute: str | None = None
    span: str | None = None


def draw(seed: int) -> tuple[Version, ...]:
    """The versions in the order in which they are shipped."""
    dice = random.Random(seed)
    first = [_harmless(), _one_query_per_line(dice), _failing_charges(dice)]
    dice.shuffle(first)
    return (*first, _without_the_slow_query())


def _harmless() -> Version:
    return Version(name="v2", about="a change nobody notices", truth=Truth.HARMLESS, variant=Variant())


def _one_query_per_line(dice: random.Random) -> Version:
    operation = dice.choice(sorted(_CLICK_OF))
    size = dice.choice(sizes_with_40_percent(_CLICK_OF[operation]))
    return Version(
        name="v3",
        about=f"41 price queries instead of 1 in {operation} for {size} tenants",
        truth=Truth.WORSE,
        variant=Variant(rechecks_operation=operation, rechecks_size=size),
        operation=operation,
        attribute=f"tenant.size={size}",
        span=REPEATED_QUERY,
    )


def _failing_charges(dice: random.Random) -> Version:
    method = dice.choice(PAYMENT_METHODS)
    return Version(
        name="v4",
        about=f"half of the payments by {method} fail",
        truth=Truth.WORSE,
        variant=Variant(long_references_for=method),
        operation=ORDER,
        attribute=f"payment.method={method}",
        span=FAILING_CALL,
    )


def _without_the_slow_query() -> Version:
    return Version(
        name="v5",
        about="a slow query (40 ms) is gone from GET /delivery-options",
        truth=Truth.BETTER,
        variant=Variant(knows_delivery_quota=True),
    )


_BREAKDOWNS: dict[Breakdown, str] = {
    "exits": "exits on a fifth of its requests and is started again",
    "silent": "takes requests and never answers",
    "hangs": "hangs as a whole at its first customer",
}


def broken(how: Breakdown) -> Version:
    """A version that breaks as a process, for tests: it sends few spans or none, and no call of it can be blamed."""
    return Version(name=how, about=_BREAKDOWNS[how], truth=Truth.WORSE, variant=Variant(breakdown=how))

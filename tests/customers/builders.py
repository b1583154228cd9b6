"""Customers as the store counts them, made of the requests of some ten-minute bins."""

import math
import random
from collections import Counter
from collections.abc import Sequence

from onejob.customers.compare import Tolerances
from onejob.model.customer import ServedCustomer, ServedSide

TOLERANCES = Tolerances(errors=0.001, errors_ratio=1.5, tail=1.1)


def a_side(*bins: Sequence[tuple[float, bool]], weight: float = 1.0, tail_sampled: int = 0) -> ServedSide:
    """Of the requests of each bin, (seconds, failed), each of which stands for `weight`."""
    requests = [one for each in bins for one in each]
    timed = [[math.log2(took) for took, _ in each if took > 0] for each in bins]
    errors = sum(failed for _, failed in requests)
    return ServedSide(
        count=len(requests),
        errors=errors,
        adjusted=weight * len(requests),
        adjusted_errors=weight * errors,
        adjusted_sq=weight**2 * len(requests),
        tail_sampled=tail_sampled,
        bins=sum(bool(each) for each in bins),
        failing=sum(sum(failed for _, failed in each) ** 2 / len(each) for each in bins if each),
        logs=sum(map(sum, timed)),
        between=sum(sum(each) ** 2 / len(each) for each in timed if each),
        zeros=sum(took == 0 for took, _ in requests),
        buckets=Counter(math.ceil(math.log2(took) * 32) - 1 for took, _ in requests if took > 0),
    )


def steady(count: int, took: float = 0.1, failing: int = 0, bins: int = 10) -> ServedSide:
    """Alike in all bins, but for chance: durations spread by half, `failing` of them failed."""
    draw = random.Random(count)
    failed = set(draw.sample(range(count), min(failing, count)))
    requests = [(took * draw.uniform(1.0, 1.5), n in failed) for n in range(count)]
    return a_side(*(requests[n::bins] for n in range(bins)))


def a_customer(name: str, new: ServedSide, old: ServedSide) -> ServedCustomer:
    return ServedCustomer(customer=name, new=new, old=old)

"""What one version of checkout does differently from the first one.

A real version differs by its code. Here the code of all versions is in one file and the version's process is told by
an environment variable which of it to run, so that a seed can draw what is wrong with it and nobody else knows.
"""

import json
import os
from dataclasses import asdict, dataclass
from typing import Literal

ENVIRONMENT_VARIABLE = "SHOP_VARIANT"

# Checkout's endpoints, by the names their server spans have.
BASKET = "GET /baskets/{basket_id}"
QUOTE = "POST /quotes"
ORDER = "POST /orders"
DELIVERY = "GET /delivery-options"

Breakdown = Literal["", "exits", "silent", "hangs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The default is the first version.

    `rechecks_*`: the endpoint reads every line's price once more, one by one, for tenants of that size.
    `long_references_for`: half of the charges of this payment method carry a reference too long for the provider.
    `knows_delivery_quota`: the slow look-up of the delivery quota is gone.
    `breakdown`: the process exits on a fifth of its requests, never answers, or hangs as a whole.
    """

    rechecks_operation: str = ""
    rechecks_size: str = ""
    long_references_for: str = ""
    knows_delivery_quota: bool = False
    breakdown: Breakdown = ""

    def rechecks(self, operation: str, size: str) -> bool:
        return operation == self.rechecks_operation and size == self.rechecks_size

    def to_environment(self) -> dict[str, str]:
        return {ENVIRONMENT_VARIABLE: json.dumps(asdict(self))}


def variant_of_this_process() -> Variant:
    return Variant(**json.loads(os.environ.get(ENVIRONMENT_VARIABLE, "{}")))

"""What many comparisons showed of a service's noise, as one."""

from collections.abc import Sequence

import numpy as np

from onejob.model.evidence import SignalHistory


def pooled(seen: Sequence[tuple[SignalHistory, ...]]) -> tuple[SignalHistory, ...]:
    """Per signal: phi weighted by blocks, s_b by degrees of freedom.

    The same instances come again in every comparison, so their number is the most that any of them had, not the sum.
    """
    signals = dict.fromkeys(one.signal for past in seen for one in past)
    return tuple(_pooled(name, [one for past in seen for one in past if one.signal == name]) for name in signals)


def _pooled(name: str, seen: Sequence[SignalHistory]) -> SignalHistory:
    phis = [(one.phi, one.blocks) for one in seen if one.phi is not None and one.blocks]
    between = [(one.s_b, one.instances) for one in seen if one.s_b is not None and one.instances > 1]
    blocks = sum(weight for _, weight in phis)
    degrees = sum(used - 1 for _, used in between)
    return SignalHistory(
        signal=name,
        phi=sum(phi * weight for phi, weight in phis) / blocks if blocks else None,
        blocks=blocks,
        s_b=float(np.sqrt(sum(s_b**2 * (used - 1) for s_b, used in between) / degrees)) if degrees else None,
        instances=max((used for _, used in between), default=0),
    )

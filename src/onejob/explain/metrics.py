"""How far a metric of one node left its own history while something was wrong.

Some services use a hundred times the memory of others, and a CPU at 80 % is normal for one and an alarm for another. So
a metric is measured in the units of its own past: 1 is the rarest hundredth of it.
"""

import numpy as np

from onejob.explain.tables import Floats

LEAST_HISTORY = 30  # points; with fewer, the rarest hundredth is not even roughly known
_RARE = 0.99
_LEAST_SWING = 0.1  # of the usual level: a metric that never moved is not alarming because it moved a little


def severity(history: Floats, during: Floats) -> float:
    """0 while the mean is within its history, towards 1 the further it is beyond: 1 - 1/z, z in units of its swing.

    `history` and `during` are points of one metric, any unit, NaN where there was none; the swing is what lies between
    the median and the rarest hundredth.
    """
    history, during = history[np.isfinite(history)], during[np.isfinite(during)]
    if len(history) < LEAST_HISTORY or not len(during):
        return 0.0
    usual, rare = np.quantile(history, (0.5, _RARE))
    swing = max(float(rare - usual), _LEAST_SWING * abs(float(usual)))
    z = float(during.mean() - usual) / swing if swing > 0 else 0.0
    return 1 - 1 / z if z > 1 else 0.0

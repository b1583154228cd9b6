"""The exact interval of a rate."""

import pytest

from onejob.stats.binomial import proportion_interval


def test_the_interval_of_a_rate_is_never_narrower_than_it_claims() -> None:
    assert proportion_interval(0, 0) == (0.0, 1.0)
    assert proportion_interval(0, 300) == pytest.approx((0.0, 0.01222), abs=1e-4)
    assert proportion_interval(5, 5) == pytest.approx((0.4782, 1.0), abs=1e-4)
    with pytest.raises(ValueError, match="6 events of 5 trials"):
        proportion_interval(6, 5)

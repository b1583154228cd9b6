"""The pictures in the documentation can be drawn again, and show what their captions claim."""

from xml.etree import ElementTree

import numpy as np
from scripts import pictures


def test_every_picture_is_a_well_formed_drawing_without_a_place_that_is_no_number() -> None:
    for drawn in (pictures.growing(), pictures.sizes(), pictures.cost(20), pictures.peeking(5)):
        ElementTree.fromstring(drawn)  # noqa: S314 - our own
        assert "nan" not in drawn


def test_looking_often_misleads_the_usual_test_and_not_the_evidence() -> None:
    arms = pictures.simulated(np.random.default_rng(7), 400, 360, (0.01, 0.01))
    usual = (pictures.z_scores(*arms) > 2.326).any(axis=1).mean()
    ours = (pictures.evidence(*arms) > np.log(1 / pictures.ALPHA)).any(axis=1).mean()
    assert usual > 0.05
    assert ours <= 0.02

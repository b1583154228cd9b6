"""What a demo that did not end as it should says of the machine."""

from onejob.demo.busy import told


def test_a_busy_machine_is_named_as_a_reason() -> None:
    note = told(20.6, 2)
    assert note is not None
    assert "21 processes wanted its 2 cores" in note


def test_what_the_demo_needs_itself_is_no_reason() -> None:
    assert told(2.5, 2) is None
    assert told(1.9, 1) is None

"""Waiting for what happens in another thread or process: for as long as it takes on a machine that is busy."""

import time
from collections.abc import Callable

PATIENT_S = 120.0


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = PATIENT_S) -> None:
    """Ask until it is so; `what` names it when it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s} s"
        time.sleep(0.02)

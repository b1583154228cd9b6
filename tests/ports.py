"""Ports for components that must be told theirs.

A port that was free a moment ago may be taken when the component binds it: as the source of somebody's connection, or
by the test that runs beside this one. So these lie below the range that systems take sources from, drawn at random.
"""

import random
import socket
from contextlib import ExitStack

_RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    draw = random.SystemRandom()  # a test that seeds `random` must not draw what its neighbour draws
    with ExitStack() as stack:
        return [_bound(stack.enter_context(socket.socket()), draw) for _ in range(count)]


def _bound(held: socket.socket, draw: random.Random) -> int:
    while True:
        port = draw.choice(_RANGE)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port

"""The wire between the server and the engine's process: one socket per thread of the engine, a JSON head, then bytes.

server thread --(head, body)--> lane --> engine thread, with a chDB connection of its own
              <--(head, body)--

One more socket, the control lane, carries the two messages below; closed, it means that the other side is gone.
"""

from __future__ import annotations

import json
import re
from multiprocessing.connection import Connection
from typing import Any

Head = dict[str, Any]

ARE_YOU_THERE = b"are you there"  # answered with an empty head and body, by the engine itself
STOP = b"stop"
DEFAULT_DATABASE = "default"  # which a new connection of the engine is upon

# What the engine says when its own copy of the OTLP schema is damaged: nothing is wrong with the telemetry.
_SCHEMA_LOST = re.compile("Could not find a message named '(Traces|Logs|Metrics)' in the schema file")


def is_schema_lost(error: str) -> bool:
    return _SCHEMA_LOST.search(error) is not None


def send(lane: Connection, head: Head, body: bytes = b"") -> None:
    lane.send_bytes(json.dumps(head).encode())
    lane.send_bytes(body)


def receive(lane: Connection) -> tuple[Head, bytes]:
    """Raises EOFError when the other side is gone."""
    head: Head = json.loads(lane.recv_bytes())
    return head, lane.recv_bytes()

"""Under load a server is frozen, its engine too, its disk is full, then damaged, and its clock jumps; `make chaos` does
so for longer.
"""

from pathlib import Path

import pytest

from .chaos import Storm, missing_parts, small_disk

EVENTS = ["freeze server", "fill disk", "jump clock", "damage spool", "freeze engine"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(bool(missing_parts()), reason=missing_parts())
def test_whatever_happens_what_was_acknowledged_is_there_once_or_told_to_be_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        storm = Storm(tmp_path / "server.log", disk, seed=3)
        storm.pass_over(EVENTS, print)
        missing, told = storm.count()

    assert missing <= told
    assert sum(clients.failures for clients in storm.clients) > 0
    assert all(len(clients.sent_ids) > 1000 for clients in storm.clients)
    assert storm.answers[200] > 0

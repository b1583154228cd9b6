"""Room that projects share, in memory or on disk, so that a flood of one leaves some for the others.

Half of it is dealt out, an equal part to each project, which is there for it whatever the others do. The other half is
for whoever needs it first. So a project that is alone may use all, and together they never use more than there is.
"""

from __future__ import annotations

import math
import threading


class Room:
    """Thread-safe. `takes_one_always`: what is larger than all of it is taken from a project that has nothing in it."""

    def __init__(self, max_bytes: int, *, takes_one_always: bool = False) -> None:
        self._max_bytes = max_bytes
        self._takes_one_always = takes_one_always
        self._parts: set[Part] = set()
        self.lock = threading.Lock()

    def part(self, most_bytes: float = math.inf) -> Part:
        """For one more project, which may never have more than `most_bytes` in it."""
        part = Part(self, most_bytes)
        with self.lock:
            self._parts.add(part)
        return part

    def remove(self, part: Part) -> None:
        """With all that is in it."""
        with self.lock:
            self._parts.discard(part)

    def has(self, part: Part, size: int) -> bool:
        """Under the lock."""
        wanted = part.used + size
        if part.used == 0 and self._takes_one_always:
            return True
        if wanted > part.most_bytes:
            return False
        own = self._max_bytes // (2 * max(1, len(self._parts)))
        if wanted <= own:
            return True
        for_all = self._max_bytes - own * len(self._parts)
        return wanted - own + sum(max(0, other.used - own) for other in self._parts - {part}) <= for_all


class Part:
    """Of one project: `used` bytes."""

    def __init__(self, room: Room, most_bytes: float) -> None:
        self._room = room
        self.most_bytes = most_bytes
        self.used = 0

    def fits(self, size: int) -> bool:
        """Whether as much could be taken now."""
        with self._room.lock:
            return self._room.has(self, size)

    def take(self, size: int) -> bool:
        """False, and nothing is taken, where there is no room for it."""
        with self._room.lock:
            if not self._room.has(self, size):
                return False
            self.used += size
            return True

    def add(self, size: int) -> None:
        """What is there anyway; or, less than 0, is not any more."""
        with self._room.lock:
            self.used += size

    def close(self) -> None:
        """What it had is the others' room now."""
        self._room.remove(self)

"""Whether the machine had enough left for the demo.

On a machine that is busy with other things the shop answers slower for reasons that nobody shipped, and its customers
ask for less. The judge is right to be less sure then, but someone who only sees a missing verdict cannot know why. So a
demo that did not end as it should says how busy the machine was.
"""

import os

# The demo itself keeps about one core busy; more than two that wait for each core are others.
_WAITING_PER_CORE = 2.0


def note_on_load() -> str | None:
    """A sentence if the machine was busy during the last five minutes."""
    return told(os.getloadavg()[1], os.cpu_count() or 1)


def told(load: float, cores: int) -> str | None:
    """The same of a given load average."""
    if load <= _WAITING_PER_CORE * cores:
        return None
    return (
        f"This machine was busy: {load:.0f} processes wanted its {cores} {'core' if cores == 1 else 'cores'} at once. "
        "What it runs is slow then for reasons that nobody shipped, and there is less traffic to judge: try again when "
        "it has less to do."
    )

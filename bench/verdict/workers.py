"""Work for all cores: a function of one job, and its results in the order of the jobs.

Processes are spawned once and kept, as each keeps what it looked up (the core test's costs) for the next job.
"""

import os
from collections.abc import Callable, Iterable
from functools import cache
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import TypeVar

Job = TypeVar("Job")
Found = TypeVar("Found")

_number = os.cpu_count() or 1


def use(number: int) -> None:
    """From now on work with so many processes; with 1, in this one."""
    global _number  # noqa: PLW0603 - set once from the command line, before any work
    _number = number


@cache
def _pool(number: int) -> Pool:
    return get_context("spawn").Pool(number)


def each(work: Callable[[Job], Found], jobs: Iterable[Job]) -> list[Found]:
    """`work` must be importable: a function of a module, or a partial of one."""
    listed = list(jobs)
    if _number == 1 or len(listed) < 2:
        return [work(job) for job in listed]
    return _pool(_number).map(work, listed, chunksize=max(1, min(8, len(listed) // (4 * _number))))

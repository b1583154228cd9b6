"""Work for all cores: a function of one job, and its results in the order of the jobs.

Processes are spawned once and kept, as each keeps what it looked up (the core test's costs) for the next job.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import TypeVar

Job = TypeVar("Job")
Found = TypeVar("Found")

_number = os.cpu_count() or 1
_used_s = 0.0


def use(number: int) -> None:
    """From now on work with so many processes; with 1, in this one."""
    global _number  # noqa: PLW0603 - set once from the command line, before any work
    _number = number


@cache
def _pool(number: int) -> Pool:
    return get_context("spawn").Pool(number)


def each(work: Callable[[Job], Found], jobs: Iterable[Job]) -> list[Found]:
    """`work` must be importable: a function of a module, or a partial of one."""
    global _used_s  # noqa: PLW0603 - a sum over the run
    listed = list(jobs)
    if _number == 1 or len(listed) < 2:
        return [work(job) for job in listed]
    timed = _pool(_number).map(partial(_timed, work), listed, chunksize=max(1, min(8, len(listed) // (4 * _number))))
    _used_s += sum(used for _, used in timed)
    return [found for found, _ in timed]


def cpu_s() -> float:
    """Processor time so far, of this process and of the jobs of others."""
    return time.process_time() + _used_s


def _timed(work: Callable[[Job], Found], job: Job) -> tuple[Found, float]:
    before = time.process_time()
    return work(job), time.process_time() - before

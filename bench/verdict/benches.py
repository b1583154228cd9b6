"""The benchmarks: found by their function `rows`, run one after the other."""

import importlib
import pkgutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bench.verdict
from bench.verdict.results import AbsentError, Row

Bench = Callable[[Path, bool], Sequence[Row]]

_LONG = ("delays", "alarms")  # last, so that a run that is stopped has told of all the others


@dataclass(slots=True)
class Found:
    """Rows of all benchmarks, in the order of the measures; what could not be measured, and why."""

    rows: list[Row] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def known() -> dict[str, Bench]:
    """Every module of this package that offers `rows(data, quick)`, by name."""
    names = sorted(m.name for m in pkgutil.iter_modules(bench.verdict.__path__) if not m.name.startswith("_"))
    modules = {name: importlib.import_module(f"bench.verdict.{name}") for name in names}
    found = {name: module.rows for name, module in modules.items() if callable(getattr(module, "rows", None))}
    return dict(sorted(found.items(), key=lambda each: (each[0] in _LONG, each[0] == _LONG[-1], each[0])))


def run(
    benches: dict[str, Bench],
    data: Path,
    quick: bool,
    say: Callable[[str], None],
    keep: Callable[[Found], None] = lambda _: None,
) -> Found:
    """All of them. One whose data is absent or that fails is said and passed over: the others still count.

    `keep` is given what was found so far after each, as an hour of measuring should not be lost with the last one.
    """
    found = Found()
    for name, measure in benches.items():
        began = time.monotonic()
        try:
            found.rows += measure(data, quick)
        except AbsentError as absent:
            found.absent.append(name)
            say(f"{name}: {absent}")
        except Exception:  # one broken benchmark must not cost an hour of others; it is printed in full
            found.failed.append(name)
            say(f"{name} failed:\n{traceback.format_exc()}")
        else:
            say(f"{name}: {time.monotonic() - began:.0f} s")
        keep(found)
    return found

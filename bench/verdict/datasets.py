"""The benchmarks of single public data sets: found by their function `rows`, run one after the other."""

import importlib
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bench.verdict
from bench.verdict.results import AbsentError, Row

Bench = Callable[[Path, bool], Sequence[Row]]


def found() -> dict[str, Bench]:
    """Every module of this package that offers `rows(data, quick)`, by name."""
    names = sorted(m.name for m in pkgutil.iter_modules(bench.verdict.__path__) if not m.name.startswith("_"))
    modules = {name: importlib.import_module(f"bench.verdict.{name}") for name in names}
    return {name: module.rows for name, module in modules.items() if callable(getattr(module, "rows", None))}


def run(benches: dict[str, Bench], data: Path, quick: bool, say: Callable[[str], None]) -> Iterator[Row]:
    """Rows of all; an absent data set is said and passed over, and so is one that fails: the others still count."""
    for name, measure in benches.items():
        say(f"{name} ...")
        try:
            yield from measure(data, quick)
        except AbsentError as absent:
            say(f"{name}: {absent}")
        except Exception:  # one broken benchmark must not cost an hour of others; it is printed in full
            say(f"{name} failed:\n{traceback.format_exc()}")

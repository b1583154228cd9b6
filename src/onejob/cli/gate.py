"""`onejob gate`: a pipeline step that waits for the verdict and answers with its exit code.

It ends at the first decided verdict (`worse` at once), when judging has ended without one, or when the time is up. A
server that cannot be reached for a moment does not end the wait; one that was never reached, or that is gone for
longer, does.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from onejob.act.gate import GateCode, GateDecision, UndecidedPolicy, decide
from onejob.cli.client import Api, Document
from onejob.cli.errors import EXIT_INTERRUPTED, UnknownError, UnreachableError, UsageError
from onejob.cli.gate_screen import Waiting, open_screen
from onejob.cli.lookup import gate_document
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url, read_duration_s
from onejob.cli.output import clean, note, print_json, verdict_mark
from onejob.model.verdict import State

LONGEST_OUTAGE_S = 60.0
READ_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one question came to: a document, or the error that stands for it."""

    document: Document | None
    error: UnknownError | UnreachableError | None = None

    @property
    def state(self) -> State | None:
        """None for a deployment that is not known (yet)."""
        return State(self.document["verdict"]["state"]) if self.document else None

    @property
    def is_judged_to_the_end(self) -> bool:
        """Whether more waiting could not change the verdict."""
        return bool(self.document and self.document["verdict"].get("is_final"))


def gate(
    service: Annotated[str, typer.Argument(help="As service.name in its telemetry.")],
    version: Annotated[str, typer.Argument(help="As service.version in its telemetry.")],
    environment: Environment = None,
    timeout: Annotated[str, typer.Option(help="How long to wait for a decision: 90s, 15m, 1h. 0 asks once.")] = "15m",
    undecided: Annotated[
        UndecidedPolicy,
        typer.Option(help="What it means if there is no decision by then: pass ends with 0, fail with 3."),
    ] = UndecidedPolicy.FAIL,
    interval: Annotated[str, typer.Option(help="How often to ask.")] = "5s",
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Wait for a verdict in a pipeline.

    The exit code says whether the pipeline may go on:

    \b
    0  not worse: the verdict is better or no_worse (or undecided, with --undecided pass)
    1  worse
    2  the command line makes no sense
    3  undecided when the time was up or judging had ended (with --undecided fail)
    4  the deployment is not known, or the server cannot be reached
    """
    api = Api(url, read_timeout_s=READ_TIMEOUT_S)
    pause_s = read_duration_s(interval)
    if pause_s <= 0:
        raise UsageError("--interval must be more than 0: ask every few seconds.")
    timeout_s = read_duration_s(timeout)
    waiting = Waiting(api, service, version, timeout_s, is_quiet=as_json)
    with _interruptible(), open_screen(waiting) as show:
        look, decision = _wait(
            lambda: _look(api, service, version, environment), show, undecided, timeout_s=timeout_s, pause_s=pause_s
        )
    if as_json and look.document:
        print_json({**look.document, "exit_code": int(decision.code)})
    elif look.document:
        _print_outcome(look.document, decision)
    if look.error:
        raise look.error
    raise typer.Exit(int(decision.code))


def _wait(
    ask: Callable[[], Look],
    show: Callable[[Look, float], None],
    undecided: UndecidedPolicy,
    *,
    timeout_s: float,
    pause_s: float,
) -> tuple[Look, GateDecision]:
    began = answered = time.monotonic()
    was_reached = False
    while True:
        look = ask()
        now = time.monotonic()
        waited_s = now - began
        if isinstance(look.error, UnreachableError):
            if not was_reached or now - answered > LONGEST_OUTAGE_S or waited_s >= timeout_s:
                return look, GateDecision(GateCode.UNKNOWN, is_final=True)
        else:
            was_reached, answered = True, now
        decision = decide(
            look.state,
            undecided,
            waited_s=waited_s,
            timeout_s=timeout_s,
            is_judged_to_the_end=look.is_judged_to_the_end,
        )
        if decision.is_final:
            return look, decision
        show(look, waited_s)
        time.sleep(max(0.0, min(pause_s, timeout_s - waited_s)))


def _look(api: Api, service: str, version: str, environment: str | None) -> Look:
    try:
        return Look(gate_document(api, service, version, environment))
    except (UnknownError, UnreachableError) as error:
        return Look(None, error)


def _print_outcome(document: Document, decision: GateDecision) -> None:
    verdict = document["verdict"]
    print(f"{verdict_mark(verdict)}: {clean(verdict.get('sentence'))}")
    if verdict["state"] == State.UNDECIDED:
        passes = decision.code is GateCode.NOT_WORSE
        why = (
            f"Judging has ended ({clean(verdict.get('reason'))})" if verdict.get("is_final") else "No decision in time"
        )
        note(f"{why}: --undecided {'pass' if passes else 'fail'} makes this exit code {decision.code}.")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C must not look like a verdict."""
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped waiting; this says nothing about the deployment.")
        raise typer.Exit(EXIT_INTERRUPTED) from None

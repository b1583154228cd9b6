import subprocess
import sys

import pytest

from onejob.act.gate import GateCode, UndecidedPolicy, decide, gate_outcome
from onejob.model.verdict import State


@pytest.mark.parametrize(
    ("state", "undecided", "code"),
    [
        (State.WORSE, "pass", 1),
        (State.WORSE, "fail", 1),
        (State.NO_WORSE, "fail", 0),
        (State.BETTER, "fail", 0),
        (State.UNDECIDED, "pass", 0),
        (State.UNDECIDED, "fail", 3),
        (None, "pass", 4),
        (None, "fail", 4),
    ],
)
def test_each_state_has_its_exit_code(state: State | None, undecided: str, code: int) -> None:
    assert gate_outcome(state, UndecidedPolicy(undecided)) == code


def test_a_worse_verdict_ends_the_wait_at_once() -> None:
    decision = decide(State.WORSE, UndecidedPolicy.FAIL, waited_s=0, timeout_s=600)

    assert decision.is_final
    assert decision.code is GateCode.WORSE


@pytest.mark.parametrize("state", [State.UNDECIDED, None])
def test_what_may_still_change_is_waited_for_until_the_time_is_up(state: State | None) -> None:
    assert not decide(state, UndecidedPolicy.PASS, waited_s=599, timeout_s=600).is_final
    assert decide(state, UndecidedPolicy.PASS, waited_s=600, timeout_s=600).is_final


@pytest.mark.parametrize(("policy", "code"), [("pass", 0), ("fail", 3)])
def test_what_is_judged_no_longer_is_not_waited_for(policy: str, code: int) -> None:
    decision = decide(State.UNDECIDED, UndecidedPolicy(policy), waited_s=0, timeout_s=600, is_judged_to_the_end=True)

    assert decision.is_final
    assert decision.code == code


def test_the_gate_needs_none_of_the_servers_libraries() -> None:
    program = (
        "import sys, onejob.act.gate; sys.exit(bool({'numpy', 'sqlalchemy', 'pydantic', 'fastapi'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

"""A controller in a process of its own, to be killed: `python -m tests.act.controller_process STATE_DB`.

The verdict of every open deployment is renewed at every tick, as the judge would; its state is the file beside it.
"""

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.act.builders import a_verdict
from tests.act.facts import Facts

from onejob.act.controller import RolloutController
from onejob.model.verdict import State
from onejob.state.database import Database

TICK_S = 0.03


def main(path: Path) -> None:
    facts = Facts.over(Database(f"sqlite:///{path}"))
    controller = RolloutController(
        rollouts=facts.rollouts,
        deployments=facts.deployments,
        verdicts=facts.verdicts,
        evidences=facts.evidences,
    )
    print("ready", flush=True)
    while True:
        now = datetime.now(UTC)
        verdict = a_verdict(State(path.with_suffix(".verdict").read_text()), judged_at=now)
        for deployment in facts.deployments.open():
            facts.verdicts.record(replace(verdict, deployment_id=deployment.id, window_end=now))
        controller.tick(now)
        time.sleep(TICK_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

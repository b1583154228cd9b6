"""The live judge on a real engine and a real state database, as the server wires it."""

from collections.abc import Callable

from onejob.config import Settings
from onejob.state.calibrations import Calibrations
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.state.outcomes import StoredOutcomes
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Explanations, Verdicts
from onejob.store.engine import Engine
from onejob.verdict.live import JudgeLoop


def a_loop(
    engine: Engine, database: Database, settings: Settings, stopwatch: Callable[[], float] = lambda: 0.0
) -> JudgeLoop:
    """No tick is ever late for it, however busy the machine is, unless another stopwatch says so."""
    return JudgeLoop(
        engine=engine,
        deployments=Deployments(database),
        evidences=Evidences(database),
        verdicts=Verdicts(database),
        explanations=Explanations(database),
        rollouts=Rollouts(database),
        settings=settings,
        calibrations=Calibrations(database),
        outcomes=StoredOutcomes(database),
        stopwatch=stopwatch,
    )

"""The state database and a controller over it, as app.py wires them."""

from dataclasses import dataclass, replace
from datetime import datetime

from tests.act.builders import T0, a_deployment
from tests.waiting import PATIENT_S

from onejob.act.controller import RolloutController
from onejob.act.drivers import DRIVERS, DriverFactory
from onejob.model.deployment import Deployment
from onejob.model.rollout import Mode
from onejob.model.verdict import Verdict
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.events import Events
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts


@dataclass
class Facts:
    """`now` is the clock of the controllers made here."""

    database: Database
    deployments: Deployments
    rollouts: Rollouts
    verdicts: Verdicts
    evidences: Evidences
    now: datetime = T0

    @classmethod
    def over(cls, database: Database) -> "Facts":
        return cls(database, Deployments(database), Rollouts(database), Verdicts(database), Evidences(database))

    def controller(
        self,
        router: DriverFactory,
        default_mode: Mode = Mode.ACT,
        patience_s: float = PATIENT_S,
        answer_within_s: float = PATIENT_S,
    ) -> RolloutController:
        """Its ticks and its answers come when all is looked at, however busy the machine is."""
        return RolloutController(
            rollouts=self.rollouts,
            deployments=self.deployments,
            verdicts=self.verdicts,
            evidences=self.evidences,
            events=Events(),
            drivers={**DRIVERS, "fake": router},
            clock=lambda: self.now,
            default_mode=default_mode,
            patience_s=patience_s,
            answer_within_s=answer_within_s,
        )

    def deployed(self, version: str = "2", **fields: object) -> Deployment:
        deployment = a_deployment(version, **fields)
        self.deployments.add(deployment)
        return deployment

    def judge(self, deployment: Deployment, verdict: Verdict) -> None:
        self.verdicts.record(replace(verdict, deployment_id=deployment.id))

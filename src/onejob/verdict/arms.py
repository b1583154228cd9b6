"""Which cells belong to which arm.

The best control that exists is the old version serving at the same time. A deployment's version is a label:
`service.version`, or `version@build` where only the build changed.
"""

from collections.abc import Iterable
from typing import Protocol

from onejob.model.deployment import Deployment
from onejob.model.evidence import Arm


class Versioned(Protocol):
    """Whatever was counted of one version."""

    @property
    def version(self) -> str: ...

    @property
    def build(self) -> str: ...

    @property
    def bin_start(self) -> int: ...


def is_version(label: str, version: str, build: str) -> bool:
    """Does a cell of (version, build) belong to the deployment label?"""
    return label in (version, f"{version}@{build}")


def arm_of(deployment: Deployment, cell: Versioned) -> Arm | None:
    """Which side the cell is on; None for neither."""
    return arm_of_version(deployment, cell.version, cell.build)


def arm_of_version(deployment: Deployment, version: str, build: str) -> Arm | None:
    """Treatment is the deployed version; control is the version it replaces, or any other when none was named."""
    if is_version(deployment.version, version, build):
        return Arm.TREATMENT
    previous = deployment.previous_version
    if previous is None or is_version(previous, version, build):
        return Arm.CONTROL
    return None


def compared_arm(deployment: Deployment, cell: Versioned, bin_width_s: int) -> int | None:
    """0 for control, 1 for treatment. A treatment that answers before its deployment is tried out, not shipped."""
    arm = arm_of(deployment, cell)
    if arm is None or arm is Arm.CONTROL:
        return None if arm is None else 0
    return 1 if cell.bin_start + bin_width_s > deployment.started_at.timestamp() else None


def bystanders(deployment: Deployment, cells: Iterable[Versioned]) -> list[str]:
    """Versions that serve but belong to neither arm."""
    return sorted({cell.version for cell in cells if arm_of(deployment, cell) is None})

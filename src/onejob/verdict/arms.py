"""Which cells belong to which arm.

The best control that exists is the old version serving at the same time. A deployment's version is a label:
`service.version`, or `version@build` where only the build changed.
"""

from collections.abc import Iterable

from onejob.model.deployment import Deployment
from onejob.model.evidence import Arm, Cell


def is_version(label: str, version: str, build: str) -> bool:
    """Does a cell of (version, build) belong to the deployment label?"""
    return label in (version, f"{version}@{build}")


def arm_of(deployment: Deployment, cell: Cell) -> Arm | None:
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


def bystanders(deployment: Deployment, cells: Iterable[Cell]) -> list[str]:
    """Versions that serve but belong to neither arm."""
    return sorted({cell.version for cell in cells if arm_of(deployment, cell) is None})

"""Rows of the tables to the dataclasses of the model, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, RowMapping

from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.state.tables import deployments

DEPLOYMENT_FIELDS = tuple(f.name for f in fields(Deployment))
DEPLOYMENT_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(deployments.c[name] for name in DEPLOYMENT_FIELDS)


def deployment_from_row(row: RowMapping) -> Deployment:
    """The deployment in a row that has all `DEPLOYMENT_COLUMNS`."""
    values: dict[str, Any] = {name: row[name] for name in DEPLOYMENT_FIELDS}
    values["strategy"] = Strategy(values["strategy"])
    values["source"] = Source(values["source"])
    values["status"] = Status(values["status"])
    values["notes"] = tuple(json.loads(values["notes"]))
    return Deployment(**values)


def deployment_to_row(deployment: Deployment) -> dict[str, Any]:
    """Column values of a deployment."""
    return columns_of(asdict(deployment))


def columns_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values of some of a deployment's fields; TypeError for a field it does not have."""
    unknown = values.keys() - set(DEPLOYMENT_FIELDS)
    if unknown:
        raise TypeError(f"a deployment has no {', '.join(sorted(unknown))}")
    row = dict(values)
    if "notes" in row:
        row["notes"] = json.dumps(list(row["notes"]))
    return {name: str(value) if isinstance(value, Strategy | Source | Status) else value for name, value in row.items()}

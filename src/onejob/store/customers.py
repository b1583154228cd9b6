"""What the store counts per customer: who was served by a version, and how one customer was served over time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from string import Template
from typing import Any

from onejob.model.customer import ServedCustomer, ServedSide, ServedStep, Use
from onejob.store.engine import Reader, Scalar
from onejob.store.rollup import read_all, scope
from onejob.store.sql import array_of_strings, read_query

BIN_S = 600  # of customer_rollup
_MOST_STEPS = 5_000
_NO_BUCKETS: dict[str, Any] = {"new_buckets": (), "old_buckets": ()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Whose requests are compared. `version` and `previous` are labels of deployments; `previous` None is any other.

    `is_by_time`: the version served before, so only the time tells. Times are Unix seconds: the version since `since`,
    the past from `past_since` on, nothing from `until` on.
    """

    service: str
    environment: str
    default_environment: str
    version: str
    previous: str | None
    is_by_time: bool
    past_since: int
    since: int
    until: int


def served_customers(
    engine: Reader, sides: Sides, limit: int, *, timeout_s: float | None = None
) -> tuple[list[ServedCustomer], int]:
    """Those that look worst first, at most `limit`; and how many there are. `timeout_s` as in `Engine.query`."""
    params = scope(sides.service, sides.environment, sides.default_environment, sides.since, sides.until) | {
        "past_since": sides.past_since,
        "label": sides.version,
        "previous": sides.previous or "",
        "by_time": int(sides.is_by_time),
        "limit": limit,
    }
    rows: list[dict[str, Any]] = engine.query(_query("customers"), params, timeout_s=timeout_s).to_pylist()
    if not rows:
        return [], 0
    names = array_of_strings(row["customer"] for row in rows)
    table = engine.query(_query("customer_buckets", customers=names), params, timeout_s=timeout_s)
    took = {row["customer"]: row for row in table.to_pylist()}
    rows = [row | _NO_BUCKETS | took.get(row["customer"], {}) for row in rows]
    found = [ServedCustomer(customer=row["customer"], new=_side(row, "new"), old=_side(row, "old")) for row in rows]
    return found, rows[0]["customers"]


def served_over_time(
    engine: Reader, customer: str, since: int, until: int, step_s: int, *, timeout_s: float | None = None
) -> list[ServedStep]:
    """One customer's requests in steps of `step_s`, the latest first; each version of each service by itself."""
    params: dict[str, Scalar] = {
        "customer": customer,
        "since": since,
        "until": until,
        "step": step_s,
        "limit": _MOST_STEPS,
    }
    return read_all(ServedStep, engine, "one_customer", params, timeout_s)


def uses(
    engine: Reader, customers: Collection[str], since: int, until: int, *, timeout_s: float | None = None
) -> list[Use]:
    """Which versions served these customers, and when."""
    sql = _query("customer_uses", customers=array_of_strings(sorted(customers)))
    rows = engine.query(sql, {"since": since, "until": until}, timeout_s=timeout_s).to_pylist()
    return [Use(**row | {"bins": tuple(row["bins"])}) for row in rows]


def _query(name: str, **lists: str) -> str:
    return Template(read_query(name)).substitute(sides=read_query("customer_sides"), **lists)


def _side(row: dict[str, Any], side: str) -> ServedSide:
    values = {field.name: row[f"{side}_{field.name}"] for field in fields(ServedSide)}
    return ServedSide(**values | {"buckets": dict(values["buckets"])})

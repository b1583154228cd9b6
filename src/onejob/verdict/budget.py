"""How alpha is shared between families of guardrails; fixed when the new version first answers."""

from collections.abc import Mapping

# The half that is about requests failing, the half that is about their being slow or not answered at all: see
# docs/verdict.md.
BUDGET: Mapping[str, float] = {"errors": 0.4, "latency": 0.4, "router": 0.1, "shortfall": 0.1}
# What a team calls a guardrail of its own, and what users' browsers measured, are one fifth and one tenth.
KPI_SHARE = 0.2
VITALS_SHARE = 0.1


def shares(*, has_kpis: bool, has_vitals: bool) -> Mapping[str, float]:
    """Each family's share; they sum to 1. The other families make room for those that not every service has."""
    more = {"kpi": KPI_SHARE * has_kpis, "vitals": VITALS_SHARE * has_vitals}
    rest = 1 - sum(more.values())
    return {family: share * rest for family, share in BUDGET.items()} | {f: s for f, s in more.items() if s}

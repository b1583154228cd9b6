"""Rows of the queries for KPI values, as cells of evidence."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from onejob.model.evidence import ValueCell
from onejob.model.kpi import Kpi, KpiKind
from onejob.stats.octaves import MIDDLE

_PLACES = 52  # of a double, after the first

Number = TypeVar("Number", int, float)


def as_cells(kpis: Sequence[Kpi], rows: Iterable[Mapping[str, Any]]) -> tuple[ValueCell, ...]:
    """`Kpi` of a row is the number of the KPI in `kpis`; `Units` are sums in units of the octave's last place."""
    return tuple(
        ValueCell(
            kpi=kpis[row["Kpi"]].name,
            version=row["Version"],
            build=row["Build"],
            instance=row["Instance"],
            bin_start=row["BinStart"],
            counts=dict(row["Counts"]),
            sums={} if kpis[row["Kpi"]].kind is KpiKind.YES_NO else _sums(row["Units"]),
        )
        for row in rows
    )


def merged(cells: Iterable[ValueCell]) -> tuple[ValueCell, ...]:
    """Cells of the same KPI, instance and bin as one, in the order of the bins."""
    found: dict[tuple[int, str, str, str, str], ValueCell] = {}
    for cell in cells:
        key = (cell.bin_start, cell.kpi, cell.version, cell.build, cell.instance)
        before = found.get(key, replace(cell, counts={}, sums={}))
        found[key] = replace(cell, counts=together(before.counts, cell.counts), sums=together(before.sums, cell.sums))
    return tuple(found[key] for key in sorted(found))


def together(some: Mapping[int, Number], more: Mapping[int, Number]) -> dict[int, Number]:
    """Counts or sums per octave, added up."""
    both = dict(some)
    for k, value in more.items():
        both[k] = both[k] + value if k in both else value
    return both


def _sums(units: Iterable[tuple[int, float]]) -> dict[int, float]:
    return {k: _scaled(total, abs(k) - MIDDLE - _PLACES) for k, total in units}


def _scaled(total: float, exponent: int) -> float:
    try:
        return math.ldexp(total, exponent)
    except OverflowError:
        return math.copysign(math.inf, total)

"""What kind of number a series is: as its metadata says, and where that is silent, as its suffix shows."""

from __future__ import annotations

from collections.abc import Mapping

from onejob.ingest.otlp_metrics import Form
from onejob.ingest.remote_write import series

_COUNTING = ("_total", "_count", "_sum", "_bucket")


def form_of(name: str, kind: int, labels: Mapping[str, str]) -> tuple[Form, bool]:
    """A gauge or a sum, and whether that is monotonic. Where the type is not told, the suffix is gone by."""
    if kind == series.COUNTER:
        return "sum", True
    if kind in (series.INFO, series.STATE_SET):
        return "sum", False
    if kind in (series.GAUGE, series.GAUGE_HISTOGRAM):
        return "gauge", False
    is_counting = name.endswith(_COUNTING) and ("le" in labels or not name.endswith("_bucket"))
    return ("sum", True) if is_counting else ("gauge", False)

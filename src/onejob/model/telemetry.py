"""The kinds of telemetry that OTLP carries, and what one of each is called."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["traces", "logs", "metrics"]
KINDS: tuple[Kind, ...] = get_args(Kind)

ONE_OF: dict[Kind, str] = {"traces": "span", "logs": "log record", "metrics": "data point"}

# At the end of a stack trace's line: its sender knows the frame to be a library's, and those without it to be none.
LIBRARY_MARK = " [library]"

# The kinds of data points, by the field of OTLP's Metric that holds them.
POINTS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")

"""The log on standard error: a line for each message, whatever names of services or targets are in it, which strangers
choose (CWE-117). Lines of a traceback are indented, and so are none of the log's own.
"""

import logging
from typing import Any

# Also what turns the direction of what is read.
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A)), " ")


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  named by the standard library
        record.message = record.message.translate(_CONTROL)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"  {line.translate(_CONTROL)}" for line in lines)


def log_to_stderr() -> None:
    """Call once, before anything is logged."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

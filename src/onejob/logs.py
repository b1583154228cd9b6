"""The log on standard error: a line for each message, whatever names of services or targets are in it, which strangers
choose (CWE-117). A traceback has lines of its own.
"""

import logging

_CONTROL = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), " ")


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  named by the standard library
        record.message = record.message.translate(_CONTROL)
        return super().formatMessage(record)


def log_to_stderr() -> None:
    """Call once, before anything is logged."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

"""Why a replay of history is not done."""


class HistoryError(Exception):
    """Any refusal or failure of a replay."""


class HistoryBusyError(HistoryError):
    """One replay at a time."""


class PeriodError(HistoryError):
    """The time asked for makes no sense."""


class NotServedError(HistoryError):
    """There is nothing to replay of what was asked for."""

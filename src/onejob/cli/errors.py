"""What can go wrong on the command line: one sentence each, and the exit code that goes with it."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNKNOWN = 4
EXIT_INTERRUPTED = 130


class CliError(Exception):
    """The message says what is wrong and what to do; nobody needs a traceback."""

    exit_code = EXIT_FAILED


class UsageError(CliError):
    """An argument makes no sense."""

    exit_code = EXIT_USAGE


class RefusedError(CliError):
    """The server answered that it will not do this."""


class UnknownError(CliError):
    """The server does not know what was asked for."""

    exit_code = EXIT_UNKNOWN


class UnreachableError(CliError):
    """No answer from the server, or none that it could have meant."""

    exit_code = EXIT_UNKNOWN


class MissingExtraError(CliError):
    """The command needs a part of onejob that the small install leaves out."""

"""The command, as the tests of the command line run it."""

from cli.conftest import onejob, warm_command

__all__ = ["onejob", "warm_command"]

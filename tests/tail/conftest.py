"""The command, as the tests of the command line run it, and an intake, as those of the intake have it."""

from cli.conftest import onejob, warm_command
from ingest.conftest import engine, intake, settings

__all__ = ["engine", "intake", "onejob", "settings", "warm_command"]

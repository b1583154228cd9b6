"""The command line.

In: arguments. Out: calls to the API, tables, exit codes. Never: the data directory of a running server.
"""

from onejob.cli.main import main

__all__ = ["main"]

"""What the server does without although it is installed.

pyarrow imports pandas where it finds it, the first time that a column becomes an array, and the embedded engine's
package brings it along: 40 MB and a second of work in the midst of it, for nothing.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

_UNWANTED = "pandas"


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == _UNWANTED:
            raise ModuleNotFoundError(f"{fullname} is not wanted here", name=fullname)


def leave_out_pandas() -> None:
    """For the whole process, unless it is imported already."""
    sys.meta_path.insert(0, _Absent())

"""What the server does without although it is installed."""

import subprocess
import sys

_TAKES_A_COLUMN = """
import sys
from onejob.imports import leave_out_pandas
leave_out_pandas()
import pyarrow
assert pyarrow.chunked_array([[1, 2], [3]]).to_numpy().tolist() == [1, 2, 3]
print("pandas" in sys.modules)
"""


def test_columns_become_arrays_without_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", _TAKES_A_COLUMN], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

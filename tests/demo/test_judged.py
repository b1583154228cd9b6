"""The demo in front of the real server: broken versions never get through, and an interrupted demo leaves nothing."""

import io
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from onejob.demo import story
from onejob.demo.narrator import Lines
from onejob.demo.performance import open_house
from onejob.demo.story import Story
from onejob.demo.truth import broken

pytestmark = [pytest.mark.alone, pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.timeout(400)
def test_versions_that_break_as_processes_are_worse_and_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "BASELINE_S", 5.0)
    monkeypatch.setattr(story, "LONGEST_EXPLANATION_S", 4.0)  # none is asked for here
    console = Console(file=io.StringIO())
    with open_house(console) as house:
        planned = [broken("exits"), broken("silent"), broken("hangs")]
        shipped = list(Story(house.stage, house.onejob, Lines(console)).tell(planned))
    assert [(each.verdict, each.rolled_back) for each in shipped] == [("worse", True)] * 3
    assert all(each.seconds_to_rollback is not None for each in shipped)


def test_an_interrupted_demo_stops_everything_and_removes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tempfile.mkdtemp(prefix="oj-")  # the database's socket needs a short path
    Path(short).chmod(0o711)
    monkeypatch.setenv("TMPDIR", short)
    command = [sys.executable, "-m", "onejob.demo", "--headless", "--seed", "1"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert demo.stdout is not None
    while "Customers are shopping" not in (line := demo.stdout.readline()):
        assert line, "the demo ended before its customers came"
    demo.send_signal(signal.SIGTERM)
    rest = demo.communicate(timeout=60)[0]
    assert demo.returncode == 130
    assert "everything the demo started has ended" in rest
    assert list(Path(short).iterdir()) == []
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert short not in processes
    Path(short).rmdir()

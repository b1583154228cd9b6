"""Each line of a log is read once, whatever becomes of the file meanwhile."""

import gzip
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onejob.tail.errors import SourceError
from onejob.tail.lines import LONGEST_LINE
from onejob.tail.logfile import LogFile


@dataclass
class Life:
    """A log, the server that writes it, and whoever reads it; `age` makes rotated files differ in age."""

    folder: Path
    written: int = 0
    half: bytes = b""
    read: list[bytes] = field(default_factory=list)
    age: int = 1_000_000

    def __post_init__(self) -> None:
        self.path.touch()
        self.log = LogFile(self.path, from_start=True)

    @property
    def path(self) -> Path:
        return self.folder / "access.log"

    def line(self) -> bytes:
        self.written += 1
        return b"line %d" % self.written

    def write(self) -> None:
        self.finish()
        for _ in range(3):
            self.append(self.line() + b"\n")

    def write_half(self) -> None:
        if not self.half:
            self.half = self.line()
            self.append(self.half)

    def append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def look(self) -> None:
        self.read += self.log.lines(5)

    def look_at_all(self) -> None:
        while found := self.log.lines(5):
            self.read += found

    def rotate(self) -> None:
        """As logrotate's `create` does: rename, and a new file."""
        self.finish()
        self._make_room()
        self.path.rename(self.folder / "access.log.1")
        self.path.touch()

    def copy_and_truncate(self) -> None:
        """What is written between the last look and the cut is lost to whoever looks only at the file."""
        self.finish()
        self.look_at_all()
        self._make_room()
        shutil.copy2(self.path, self.folder / "access.log.1")
        os.truncate(self.path, 0)

    def restart(self) -> None:
        marks = self.log.marks()
        self.log.close()
        self.log = LogFile(self.path, marks, from_start=True)

    def finish(self) -> None:
        if self.half:
            self.append(b" goes on\n")
            self.half = b""

    def _make_room(self) -> None:
        for number in range(30, 0, -1):
            old = self.folder / f"access.log.{number}"
            if old.exists():
                old.rename(self.folder / f"access.log.{number + 1}")
        self.age += 10
        os.utime(self.path, (self.age, self.age))


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path)
    yield life
    life.log.close()


STEPS = ("write", "write_half", "look", "look_at_all", "rotate", "copy_and_truncate", "restart")


@given(st.lists(st.sampled_from(STEPS), max_size=25))
def test_every_line_is_read_once_and_in_order(steps: list[str]) -> None:
    with TemporaryDirectory() as folder:
        life = Life(Path(folder))
        for step in steps:
            getattr(life, step)()
        life.finish()
        life.look_at_all()
        life.look_at_all()
        life.log.close()
    assert [line.removesuffix(b" goes on") for line in life.read] == [
        b"line %d" % n for n in range(1, life.written + 1)
    ]


def test_half_a_line_waits_for_its_end(life: Life) -> None:
    life.append(b"one\ntw")
    life.look_at_all()
    assert life.read == [b"one"]
    life.append(b"o\n")
    life.look_at_all()
    assert life.read == [b"one", b"two"]


def test_a_log_that_was_not_read_before_begins_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"old\nhal")
    log = LogFile(path)
    assert log.lines(9) == []
    with path.open("ab") as file:
        file.write(b"f\nnew\n")
    assert log.lines(9) == [b"half", b"new"]
    log.close()


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "access.log")
    assert log.lines(9) == []
    (tmp_path / "access.log").write_bytes(b"first\n")
    again = LogFile(tmp_path / "access.log", log.marks())
    for one in (log, again):
        assert one.lines(9) == [b"first"]
        one.close()


def test_what_was_rotated_and_packed_meanwhile_is_read_to_its_end(life: Life) -> None:
    life.write()
    life.look_at_all()
    life.write()
    life.rotate()
    old = life.folder / "access.log.1"
    (life.folder / "access.log.1.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    life.write()
    life.restart()
    life.look_at_all()
    assert len(life.read) == life.written == 9
    assert not life.log.is_lost


def test_what_was_rotated_out_of_sight_is_said_to_be_lost(life: Life) -> None:
    life.write()
    life.look_at_all()
    life.rotate()
    (life.folder / "access.log.1").unlink()
    life.restart()
    assert life.log.is_lost


def test_a_line_without_end_takes_no_more_memory_than_a_long_one(life: Life) -> None:
    for _ in range(40):
        life.append(b"x" * LONGEST_LINE)
        life.look_at_all()
    life.append(b"\nnext\n")
    life.look_at_all()
    assert [len(line) for line in life.read] == [LONGEST_LINE, 4]
    life.restart()
    life.append(b"and next\n")
    life.look_at_all()
    assert life.read[-1] == b"and next"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SourceError, match="is no file"):
            LogFile(path)

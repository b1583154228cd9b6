"""A data directory that is not what onejob made: the command ends with a sentence that says what to do."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onejob import app
from onejob.config import Settings
from onejob.state.database import Database
from onejob.state.errors import StateUnavailableError
from servers import PORTS


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xffgarbage" * 1000)


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """The server takes SIGINT and SIGTERM; pytest wants them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can signal one thread of another process")
def test_a_signal_that_reaches_any_of_its_threads_stops_the_server(tmp_path: Path) -> None:
    ports = {f"ONEJOB_{name}_PORT": "0" for name in ("WEB", "OTLP_GRPC", "OTLP_HTTP")}
    command = [sys.executable, "-c", "from onejob.cli import main; main()", "serve"]
    environment = os.environ | ports | {"ONEJOB_DATA_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if line.startswith("  data"))
        youngest = max(int(thread.name) for thread in Path(f"/proc/{process.pid}/task").iterdir())
        assert ctypes.CDLL(None).tgkill(process.pid, youngest, signal.SIGTERM) == 0
        assert process.wait(60) == 0


def start(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code of a server that cannot start, and what it said."""
    code = app.serve(Settings(data_dir=data_dir, **PORTS))
    return code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("state.db", "no SQLite database"),
        ("spool", "spool cannot be used"),
    ],
)
def test_what_cannot_be_opened_is_named_with_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    garbage(tmp_path / name)
    code, told = start(tmp_path, capfd)
    assert code == app.EXIT_FAILED
    assert "onejob cannot start: " in told
    assert said in told
    assert "Traceback" not in told


_WHOLE_NUMBERS = sorted(name for name, field in Settings.model_fields.items() if field.annotation is int)


@pytest.mark.parametrize("name", [*_WHOLE_NUMBERS, "query_timeout_s"])
def test_a_number_too_large_for_what_it_sets_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ONEJOB_{name.upper()}", "9" * 30)
    with pytest.raises(app.CannotStart, match=f"ONEJOB_{name.upper()}: .*less than or equal to"):
        app.read_settings()


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("engine_max_memory_bytes", "1", "greater than or equal to 268435456"),
        ("traces_retention_days", "3651", "less than or equal to 3650"),
        ("rollup_retention_days", "10000", "less than or equal to 3650"),
    ],
)
def test_a_number_that_would_store_nothing_or_be_cut_silently_is_refused_by_name(
    name: str, value: str, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ONEJOB_{name.upper()}", value)
    with pytest.raises(app.CannotStart, match=f"ONEJOB_{name.upper()}: .*{bound}"):
        app.read_settings()


def test_a_variable_that_is_no_setting_is_told_with_what_may_be_meant(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("TRACE_RETENTION_DAYS", "URL", "TOKEN", "SERVICE_HOST", "WEB_SERVICE_PORT_HTTP", "PORT_4317_TCP_ADDR"):
        monkeypatch.setenv(f"ONEJOB_{name}", "3")
    app.read_settings()
    assert caplog.messages == [
        "ONEJOB_TRACE_RETENTION_DAYS is no setting, and does nothing: is it ONEJOB_TRACES_RETENTION_DAYS?"
    ]


def test_a_shell_that_allows_few_open_files_does_not_bound_the_connections(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    garbage(tmp_path / "state.db")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        start(tmp_path, capfd)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1024
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def powerless() -> Iterator[None]:
    """Root may read whatever it likes: be nobody for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that nobody may enter too, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_a_state_database_of_another_user_is_told_as_one(open_folder: Path) -> None:
    (open_folder / "state.db").touch(mode=0o000)
    database = Database(f"sqlite:///{open_folder}/state.db")
    with powerless(), pytest.raises(StateUnavailableError, match="may not be read or written: make it"):
        database.migrate()


def test_a_name_that_may_not_be_read_is_told_as_such(open_folder: Path) -> None:
    (open_folder / "server-id").touch(mode=0o000)
    with powerless(), pytest.raises(app.CannotStart, match="belong to the user"), app._files_at(open_folder):
        app._server_id(open_folder)


def test_a_folder_in_place_of_the_name_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "server-id").mkdir()
    with pytest.raises(app.CannotStart, match=r"server-id cannot be used \(Is a directory\)"), app._files_at(tmp_path):
        app._server_id(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00\xffgarbage\n"])
def test_a_name_that_was_lost_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "server-id").write_bytes(content)
    name = app._server_id(tmp_path)
    assert app._A_NAME.fullmatch(name)
    assert app._server_id(tmp_path) == name

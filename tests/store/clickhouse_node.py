"""A real ClickHouse server for tests, out of the chDB wheel: its library holds the whole server, and listens when told
to.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ports import free_ports

_CONFIG = """<clickhouse>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{port}</http_port>
  <path>{home}/data/</path>
  <users_config>{home}/users.xml</users_config>
</clickhouse>
"""
# `reader` may read one database, and change nothing, not even a setting of its own queries.
_USERS = """<clickhouse>
  <profiles><default/><readonly><readonly>1</readonly></readonly></profiles>
  <quotas><default/></quotas>
  <users>
    <default><password/><profile>default</profile><quota>default</quota><networks><ip>::/0</ip></networks></default>
    <reader>
      <password>secret</password><profile>readonly</profile><quota>default</quota><networks><ip>::/0</ip></networks>
      <grants><query>GRANT SELECT ON collector.*</query></grants>
    </reader>
  </users>
</clickhouse>
"""
_PROGRAM = """
import sys
from chdb import _chdb
# Queries are served by other threads for as long as this statement runs: an hour.
_chdb.query(
    "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM numbers(1200) "
    "SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null",
    "TabSeparated", path=sys.argv[1],
)
"""
_START_TIMEOUT_S = 60.0


class ClickHouseNode:
    """`url` is ready for ONEJOB_STORE_URL, without a database; `reader_url` is of one who may only read `collector`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (self._port,) = free_ports(1)
        folder = home / ".clickhouse-local"
        folder.mkdir(parents=True)
        for place in (folder, home):  # the library looks at one of them for ports, at the other one for users
            (place / "config.xml").write_text(_CONFIG.format(port=self._port, home=home))
        (home / "users.xml").write_text(_USERS)
        self._log = (home / "node.log").open("ab")
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"http://default:@127.0.0.1:{self._port}"

    @property
    def reader_url(self) -> str:
        return f"http://reader:secret@127.0.0.1:{self._port}/collector"

    def kill_and_start_again(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(self._home / "data")],
            cwd=self._home,
            env=os.environ | {"HOME": str(self._home)},
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(
                    f"The ClickHouse node did not start: {(self._home / 'node.log').read_text()[-2000:]}"
                )
            time.sleep(0.1)
        return process

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/ping", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

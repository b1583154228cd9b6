"""A real nginx in front of a server, as its users put one there."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from waiting import wait_until


@contextmanager
def in_front(folder: Path, http: str, ports: Sequence[int], is_served: Callable[[int], bool]) -> Iterator[None]:
    """With `http` as what its configuration says of HTTP; `is_served` is asked about the status of each port's `/`."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    config = folder / "nginx.conf"
    config.write_text(f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    {temporary}
    access_log off;
    {http}
}}
""")
    program = shutil.which("nginx", path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    assert program, "nginx is missing: apt-get install nginx"
    process = subprocess.Popen([program, "-p", str(folder), "-e", "stderr", "-c", str(config)])

    def answers(port: int) -> bool:
        try:
            return is_served(httpx.get(f"http://127.0.0.1:{port}/").status_code)
        except httpx.TransportError:
            return False

    try:
        for port in ports:
            wait_until(lambda port=port: answers(port), "nginx listening")  # type: ignore[misc]
        yield
    finally:
        process.terminate()
        process.wait(30)

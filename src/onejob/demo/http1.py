"""A HTTP/1.1 client as small as the load generator's needs, because a full one costs as much as the shop it loads.

Requests with a body of known length, responses with a Content-Length (all the shop's have one), connections reused.
"""

import asyncio

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connections:
    """Connections to one server; a request takes an idle one or opens a new one."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[Connection] = []

    async def request(self, method: str, path: str, tenant: str, body: bytes = b"") -> int:
        """The status of the answer; its body is read and dropped. A connection that fails is not used again."""
        connection = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        try:
            status, stays_open = await self._exchange(connection, method, path, tenant, body)
        except BaseException:
            connection[1].close()
            raise
        if stays_open:
            self._idle.append(connection)
        else:
            connection[1].close()
        return status

    async def _exchange(
        self, connection: Connection, method: str, path: str, tenant: str, body: bytes
    ) -> tuple[int, bool]:
        reader, writer = connection
        head = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nX-Tenant: {tenant}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers["content-length"]))
        return int(status_line.split()[1]), headers.get("connection") != "close"

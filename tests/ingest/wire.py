"""Protobuf and snappy by hand, by published field numbers: what senders of other protocols put on the wire."""

import struct
from typing import Any

import httpx
import pyarrow as pa

from onejob.store.engine import Engine

REMOTE_WRITE_1 = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
REMOTE_WRITE_2 = REMOTE_WRITE_1 | {"content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
STALE = struct.unpack("<d", bytes.fromhex("020000000000f07f"))[0]


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> int:
    return number << 1 if number >= 0 else -2 * number - 1


def field(number: int, value: Any) -> bytes:
    """An int, a float (double), a text or bytes."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def packed(number: int, numbers: list[int]) -> bytes:
    return field(number, b"".join(map(varint, numbers)))


def doubles(number: int, numbers: list[float]) -> bytes:
    return field(number, struct.pack(f"<{len(numbers)}d", *numbers))


def snappy(data: bytes) -> bytes:
    return bytes(pa.Codec("snappy").compress(data, asbytes=True))


# --- Prometheus ---


def sample(value: float, ms: int, start_ms: int = 0) -> bytes:
    return field(1, value) + field(2, ms) + (field(3, start_ms) if start_ms else b"")


def spans(number: int, *pairs: tuple[int, int]) -> bytes:
    return b"".join(field(number, field(1, zigzag(offset)) + field(2, length)) for offset, length in pairs)


def write_1(*series: tuple[Any, list[bytes]], metadata: bytes = b"") -> bytes:
    """Of pairs of labels, in a dict or a list, and samples."""
    body = b""
    for labels, samples in series:
        pairs = labels.items() if isinstance(labels, dict) else labels
        inside = b"".join(field(1, field(1, name) + field(2, value)) for name, value in pairs)
        body += field(1, inside + b"".join(field(2, one) for one in samples))
    return body + metadata


class Write2:
    """A request of 2.0, whose texts are in a table."""

    def __init__(self) -> None:
        self.symbols = [""]
        self.series: list[bytes] = []

    def refs(self, labels: dict[str, str]) -> list[int]:
        return [self.symbol(text) for pair in labels.items() for text in pair]

    def symbol(self, text: str) -> int:
        if text not in self.symbols:
            self.symbols.append(text)
        return self.symbols.index(text)

    def add(
        self,
        labels: dict[str, str],
        *,
        samples: tuple[bytes, ...] = (),
        histograms: tuple[bytes, ...] = (),
        exemplars: tuple[tuple[dict[str, str], float, int], ...] = (),
        kind: int = 0,
        told: str = "",
        unit: str = "",
        created_ms: int = 0,
    ) -> "Write2":
        inside = packed(1, self.refs(labels))
        inside += b"".join(field(2, one) for one in samples) + b"".join(field(3, one) for one in histograms)
        for its_labels, value, ms in exemplars:
            inside += field(4, packed(1, self.refs(its_labels)) + field(2, value) + field(3, ms))
        metadata = field(1, kind) + field(3, self.symbol(told)) + field(4, self.symbol(unit))
        self.series.append(inside + field(5, metadata) + (field(6, created_ms) if created_ms else b""))
        return self

    def body(self) -> bytes:
        texts = b"".join(field(4, text) for text in self.symbols)
        return texts + b"".join(field(5, one) for one in self.series)


def written(answer: httpx.Response) -> list[int]:
    """Samples, histograms and exemplars, as the answer says."""
    name = "x-prometheus-remote-write-{}-written"
    return [int(answer.headers[name.format(what)]) for what in ("samples", "histograms", "exemplars")]


# --- Loki ---


def push(*streams: tuple[str, list[tuple[int, str, dict[str, str]]]]) -> bytes:
    """Of pairs of labels as Loki writes them, and entries: nanoseconds, line, structured metadata."""
    body = b""
    for labels, entries in streams:
        inside = field(1, labels)
        for ns, line, metadata in entries:
            entry = field(1, field(1, ns // 10**9) + field(2, ns % 10**9)) + field(2, line)
            entry += b"".join(field(3, field(1, name) + field(2, value)) for name, value in metadata.items())
            inside += field(2, entry)
        body += field(1, inside)
    return body


# --- what is stored ---


def rows(engine: Engine, table: str, service: str, columns: str) -> list[dict[str, Any]]:
    """In the order of their values; maps as dicts."""
    sql = f"SELECT {columns} FROM {table} WHERE ServiceName = {{service:String}} ORDER BY ALL"  # noqa: S608
    return [
        {name: dict(value) if _is_map(value) else value for name, value in row.items()}
        for row in engine.query(sql, {"service": service}).to_pylist()
    ]


def _is_map(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, tuple) for item in value)

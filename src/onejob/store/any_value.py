"""Attribute values that are arrays, maps or bytes as text, for the engine's insert.

Runs inside the engine's process as the UDF `onejob_any_value`. A UDF's String arrives as UTF-8 text, so the protobuf
bytes come as hex.
"""

import base64
import json
import math
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


def json_of_any_value(kind: str, hex_bytes: str) -> str:
    """`kind` is `array_value`, `kvlist_value` or `bytes_value`, `hex_bytes` what is in that field. Bytes as base64."""
    data = bytes.fromhex(hex_bytes)
    if kind == "bytes_value":
        return base64.b64encode(data).decode()
    value = _array(ArrayValue.FromString(data)) if kind == "array_value" else _map(KeyValueList.FromString(data))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _array(array: ArrayValue) -> list[Json]:
    return [_plain(value) for value in array.values]


def _map(entries: KeyValueList) -> dict[str, Json]:
    return {entry.key: _plain(entry.value) for entry in entries.values}


def _plain(value: AnyValue) -> Json:
    member = value.WhichOneof("value")
    if member == "array_value":
        return _array(value.array_value)
    if member == "kvlist_value":
        return _map(value.kvlist_value)
    if member == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    plain: Json = getattr(value, member) if member else None
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else "Infinity" if plain > 0 else "-Infinity"  # as in protobuf's JSON
    return plain

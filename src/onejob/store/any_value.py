"""Attribute values that are arrays, maps or bytes as text, for the engine's insert.

Runs inside the engine's process as the UDF `onejob_any_value`. A UDF's String arrives as UTF-8 text, so the protobuf
bytes come as hex. What is inside arrays and maps is redacted here, where it is still what was sent.
"""

import base64
import json
import math
from collections.abc import Callable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList

from onejob.store.redaction_nested import Json, NestedRedaction


def json_of_any_value(redaction: NestedRedaction) -> Callable[[str, str, str], str]:
    """The function of (kind, hex, key): `kind` is `array_value`, `kvlist_value` or `bytes_value`, `hex` what is in that
    field, and `key` the attribute's name, empty for a body. Bytes become base64.
    """

    def text(kind: str, hex_bytes: str, key: str) -> str:
        data = bytes.fromhex(hex_bytes)
        if kind == "bytes_value":
            return base64.b64encode(data).decode()
        value = _array(ArrayValue.FromString(data)) if kind == "array_value" else _map(KeyValueList.FromString(data))
        return json.dumps(redaction.redact(value, key), separators=(",", ":"), ensure_ascii=False)

    return text


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

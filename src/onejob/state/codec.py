"""Model dataclasses to plain JSON values and back.

Problem: verdicts, explanations and rollouts are stored and sent as documents, and hand-written converters for forty
dataclasses drift from the dataclasses. Solution: read the dataclasses' own annotations. Unknown keys are ignored and
missing ones take their defaults, so that a newer or an older onejob can read the same row.
"""

import json
import math
import types
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def to_plain(value: object, *, non_finite: Callable[[float], Plain] = str) -> Plain:
    """JSON-able copy of a model object. JSON has no infinity: `non_finite` says what to write instead."""
    match value:
        case Enum():
            return str(value.value)
        case float():
            return value if math.isfinite(value) else non_finite(value)
        case None | bool() | int() | str():
            return value
        case datetime():
            return iso(value)
        case tuple() | list():
            return [to_plain(item, non_finite=non_finite) for item in value]
    return {str(key): to_plain(item, non_finite=non_finite) for key, item in _items(value)}


def _items(value: object) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if is_dataclass(value):
        return ((f.name, getattr(value, f.name)) for f in fields(value))
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


def from_plain(kind: type[T], plain: object) -> T:
    """The object of dataclass `kind` that `to_plain` made `plain` of."""
    hashable: Any = kind
    result: T = _reader(hashable)(plain)
    return result


def pack(value: object) -> bytes:
    """Compressed JSON of a model object: documents of verdicts shrink about tenfold."""
    return zlib.compress(json.dumps(to_plain(value), separators=(",", ":")).encode())


def unpack(kind: type[T], packed: bytes) -> T:
    """Inverse of `pack`."""
    return from_plain(kind, json.loads(zlib.decompress(packed)))


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(_reader(next(arg for arg in args if arg is not type(None))))
    if origin is tuple:
        item = _reader(args[0])
        return lambda plain: tuple(item(value) for value in plain)
    if origin is not None and issubclass(origin, Mapping):
        read_key, read_value = _reader(args[0]), _reader(args[1])
        return lambda plain: {read_key(key): read_value(value) for key, value in plain.items()}
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    if kind is datetime:
        return datetime.fromisoformat
    return kind if isinstance(kind, type) else lambda plain: plain


def _optional(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda plain: None if plain is None else reader(plain)


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {f.name: _reader(hints[f.name]) for f in fields(kind)}
    optional = {f.name for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING}

    def read(plain: Mapping[str, Any]) -> Any:
        missing = readers.keys() - plain.keys() - optional
        if missing:
            raise ValueError(f"a stored {kind.__name__} lacks {', '.join(sorted(missing))}")
        return kind(**{name: reader(plain[name]) for name, reader in readers.items() if name in plain})

    return read

"""Model dataclasses to plain JSON values and back.

Problem: verdicts, explanations and rollouts are stored and sent as documents, and hand-written converters for forty
dataclasses drift from the dataclasses. Solution: read the dataclasses' own annotations. Unknown keys are ignored and
missing ones take their defaults, so that a newer or an older onejob can read the same row. A field that is marked
`only_if_given` is not written where it is None, so that it changes no document that has nothing of it.
"""

import json
import math
import types
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
NonFinite = Callable[[float], Plain]
Writer = Callable[[Any, NonFinite], Plain]
_AS_THEY_ARE = (str, int, bool, str | None, int | None, bool | None)


def to_plain(value: object, *, non_finite: NonFinite = str) -> Plain:
    """JSON-able copy of a model object. JSON has no infinity: `non_finite` says what to write instead."""
    kind: Any = type(value)
    return _writer(kind)(value, non_finite)


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
def _writer(kind: Any) -> Writer:
    """Made once per annotation: a page of fifty verdicts has a hundred thousand fields."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        write = _writer(next(arg for arg in args if arg is not type(None)))
        return lambda value, non_finite: None if value is None else write(value, non_finite)
    if origin is Literal:
        return _plain_writer(type(args[0]))
    if origin is tuple:
        item = _writer(args[0])
        return lambda value, non_finite: [item(part, non_finite) for part in value]
    if origin is not None and issubclass(origin, Mapping):
        member = _writer(args[1])
        return lambda value, non_finite: {str(key): member(part, non_finite) for key, part in value.items()}
    if is_dataclass(kind):
        return _dataclass_writer(kind)
    return _plain_writer(kind)


def _plain_writer(kind: Any) -> Writer:
    if issubclass(kind, Enum):
        return lambda value, _: str(value.value)
    if issubclass(kind, float):
        return lambda value, non_finite: value if math.isfinite(value) else non_finite(value)
    if issubclass(kind, datetime):
        return lambda value, _: iso(value)
    if issubclass(kind, str | int | types.NoneType):
        return lambda value, _: value
    if issubclass(kind, tuple | list):
        return lambda value, non_finite: [to_plain(part, non_finite=non_finite) for part in value]
    if issubclass(kind, Mapping):
        return lambda value, non_finite: {str(k): to_plain(v, non_finite=non_finite) for k, v in value.items()}
    raise TypeError(f"cannot write a {kind.__name__} as JSON")


def _dataclass_writer(kind: Any) -> Writer:
    hints = get_type_hints(kind)
    as_they_are = tuple(f.name for f in fields(kind) if hints[f.name] in _AS_THEY_ARE)
    # Found at the first use: a dataclass may hold others of its own kind.
    written = tuple((f.name, hints[f.name]) for f in fields(kind) if hints[f.name] not in _AS_THEY_ARE)
    order = dict.fromkeys(f.name for f in fields(kind))
    only_if_given = tuple(f.name for f in fields(kind) if f.metadata.get("only_if_given"))

    def write(value: Any, non_finite: NonFinite) -> Plain:
        plain: dict[str, Plain] = order.copy()
        for name in as_they_are:
            plain[name] = getattr(value, name)
        for name, hint in written:
            plain[name] = _writer(hint)(getattr(value, name), non_finite)
        for name in only_if_given:
            if plain[name] is None:
                del plain[name]
        return plain

    return write


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
    readers = tuple((f.name, _reader(hints[f.name])) for f in fields(kind))
    names = {name for name, _ in readers}
    optional = {f.name for f in fields(kind) if f.default is not MISSING or f.default_factory is not MISSING}

    def read(plain: Mapping[str, Any]) -> Any:
        absent = names - plain.keys()
        if absent - optional:
            raise ValueError(f"a stored {kind.__name__} lacks {', '.join(sorted(absent - optional))}")
        return kind(**{name: reader(plain[name]) for name, reader in readers if name not in absent})

    return read

"""Answers of the engine as arrays, and the queries of this folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from onejob.store.sql import array_of_strings

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.signedinteger[Any]]
Keys = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Strings as codes into the distinct ones."""

    codes: Ints
    distinct: tuple[str, ...]

    def __getitem__(self, row: int) -> str:
        return self.distinct[int(self.codes[row])]


def listed(trace_ids: Iterable[str]) -> str:
    """An array literal; each once, so that the same ones make the same statement."""
    return array_of_strings(sorted(set(trace_ids)))


def numbers(table: pa.Table, name: str, kind: type) -> npt.NDArray[Any]:
    """A column of numbers."""
    return np.asarray(table[name].to_numpy(zero_copy_only=False)).astype(kind)


def column(strings: pa.ChunkedArray | pa.Array) -> Column:
    """To be shown: a NUL is no text to PostgreSQL, and shows as nothing anywhere."""
    stored = as_stored(strings)
    shown = tuple(value.replace("\0", "\N{REPLACEMENT CHARACTER}") for value in stored.distinct)
    return Column(codes=stored.codes, distinct=shown)


def as_stored(strings: pa.ChunkedArray | pa.Array) -> Column:
    """Strings as the store has them."""
    encoded = strings.cast(pa.string()).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Column(codes=codes, distinct=tuple(encoded.dictionary.to_pylist()))


def to_ns(moment: datetime) -> int:
    """Unix nanoseconds."""
    return int(moment.timestamp() * 1_000_000) * 1000


@cache
def statement(name: str) -> Template:
    """The text of queries/NAME.sql, for its lists to be filled in."""
    return Template(Template(_text(name)).safe_substitute(of_window=_text("of_window")))


def _text(name: str) -> str:
    return (resources.files("onejob.explain") / "queries" / f"{name}.sql").read_text()

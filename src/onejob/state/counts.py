"""The cells of an evidence batch as compact bytes.

A day of fifty operations is a million cells: the general codec would spend half a minute on reading them back. Here a
cell is one flat list of numbers, its four labels are indices into a table, and nothing is looked up by name.
"""

import json
import zlib
from typing import Any

from onejob.model.evidence import (
    Cell,
    ControlCell,
    EvidenceBatch,
    Expectations,
    JudgeSettings,
    NoveltyCell,
    RouterCount,
    ValueCell,
    Vital,
)
from onejob.state.codec import from_plain, to_plain


def pack_counts(batch: EvidenceBatch) -> bytes:
    """Everything a batch consumed: cells, router samples, and what the judge was told about them."""
    labels: dict[str, int] = {}
    cells = [_cell_to_list(cell, labels) for cell in batch.cells]
    further = _pack_further(batch, labels)
    document = {
        "labels": list(labels),
        "cells": cells,
        "router": to_plain(batch.router),
        "warmed": list(batch.warmed),
        "share": batch.share,
        "settings": None if batch.settings is None else to_plain(batch.settings),
        "expectations": None if batch.expectations is None else to_plain(batch.expectations),
        **further,
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode())


def unpack_counts(packed: bytes) -> dict[str, Any]:
    """Inverse of `pack_counts`: the fields of the batch that it packed."""
    document = json.loads(zlib.decompress(packed))
    labels: list[str] = document["labels"]
    settings = document["settings"]
    expectations = document.get("expectations")
    return {
        "cells": tuple(_cell_from_list(values, labels) for values in document["cells"]),
        "router": tuple(from_plain(RouterCount, plain) for plain in document["router"]),
        "warmed": tuple(document["warmed"]),
        "share": document["share"],
        "settings": None if settings is None else from_plain(JudgeSettings, settings),
        "expectations": None if expectations is None else from_plain(Expectations, expectations),
        **_unpack_further(document, labels),
    }


def _pack_further(batch: EvidenceBatch, labels: dict[str, int]) -> dict[str, Any]:
    """What most batches have nothing of is left out of them; so it is absent from those of older versions."""
    further = {
        "values": [_value_to_list(cell, labels) for cell in batch.values],
        "vitals": [[vital.name, [_cell_to_list(cell, labels) for cell in vital.cells]] for vital in batch.vitals],
        "novelties": to_plain(batch.novelties),
        "controls": to_plain(batch.controls),
    }
    return {name: rows for name, rows in further.items() if rows}


def _unpack_further(document: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    vitals = document.get("vitals", [])
    return {
        "values": tuple(_value_from_list(values, labels) for values in document.get("values", [])),
        "vitals": tuple(Vital(name=n, cells=tuple(_cell_from_list(c, labels) for c in cells)) for n, cells in vitals),
        "novelties": tuple(from_plain(NoveltyCell, plain) for plain in document.get("novelties", [])),
        "controls": tuple(from_plain(ControlCell, plain) for plain in document.get("controls", [])),
    }


def _value_to_list(cell: ValueCell, labels: dict[str, int]) -> list[Any]:
    return [
        *(labels.setdefault(text, len(labels)) for text in (cell.kpi, cell.version, cell.build, cell.instance)),
        cell.bin_start,
        [number for pair in cell.counts.items() for number in pair],
        [number for pair in cell.sums.items() for number in pair],
    ]


def _value_from_list(values: list[Any], labels: list[str]) -> ValueCell:
    kpi, version, build, instance, bin_start, counts, sums = values
    return ValueCell(
        kpi=labels[kpi],
        version=labels[version],
        build=labels[build],
        instance=labels[instance],
        bin_start=bin_start,
        counts=dict(zip(counts[::2], counts[1::2], strict=True)),
        sums=dict(zip(sums[::2], sums[1::2], strict=True)),
    )


def _cell_to_list(cell: Cell, labels: dict[str, int]) -> list[Any]:
    return [
        *(labels.setdefault(text, len(labels)) for text in (cell.operation, cell.version, cell.build, cell.instance)),
        *(cell.bin_start, cell.count, cell.errors, cell.sum_s, cell.sum_sq_s2, cell.zeros),
        [number for bucket in cell.buckets.items() for number in bucket],
        *_sampled(cell),
    ]


def _sampled(cell: Cell) -> tuple[float | None, ...]:
    """Nothing where nothing was sampled, as it was in all that older versions stored."""
    sampled = (cell.adjusted, cell.adjusted_errors, cell.adjusted_sq, cell.tail_sampled)
    return () if sampled == (None, None, None, 0) else sampled


def _cell_from_list(values: list[Any], labels: list[str]) -> Cell:
    operation, version, build, instance, bin_start, count, errors, sum_s, sum_sq_s2, zeros, buckets, *sampled = values
    adjusted, adjusted_errors, adjusted_sq, tail_sampled = sampled or (None, None, None, 0)
    return Cell(
        operation=labels[operation],
        version=labels[version],
        build=labels[build],
        instance=labels[instance],
        bin_start=bin_start,
        count=count,
        errors=errors,
        sum_s=sum_s,
        sum_sq_s2=sum_sq_s2,
        zeros=zeros,
        buckets=dict(zip(buckets[::2], buckets[1::2], strict=True)),
        adjusted=adjusted,
        adjusted_errors=adjusted_errors,
        adjusted_sq=adjusted_sq,
        tail_sampled=tail_sampled,
    )

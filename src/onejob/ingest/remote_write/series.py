"""Both versions of remote write as the same series: 2.0 says in numbers into a table what 1.0 spells out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onejob.ingest.described import messages
from onejob.ingest.errors import BadRequest
from onejob.ingest.hollow import refuse_more

MESSAGES = messages("onejob.ingest.remote_write", "write.proto", "onejob.remote_write")
UNKNOWN, COUNTER, GAUGE, HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY, INFO, STATE_SET = range(8)
# A sample has a time, a label two texts, a series both.
_LEAST_SERIES_BYTES = 20
_LEAST_ITEM_BYTES = 8
_MOST_LABELS = 500  # of one series; Prometheus' own receivers stop at some tens

Exemplar = tuple[dict[str, str], Any]  # its labels, and the message it came in


@dataclass(slots=True)
class Series:
    """`problem` is what is wrong with its labels, if anything is; `kind` is one of the types above."""

    labels: dict[str, str]
    problem: str
    samples: Sequence[Any]
    histograms: Sequence[Any]
    exemplars: list[Exemplar]
    kind: int = UNKNOWN
    description: str = ""
    unit: str = ""
    start_ms: int = 0


def series_of_1(request: Any, size: int) -> Iterator[Series]:
    """Of a WriteRequest of so many bytes. Metadata has no place: it comes apart from the series. Raises BadRequest."""
    refuse_more(len(request.timeseries), size, _LEAST_SERIES_BYTES)
    for of in request.timeseries:
        for items in (of.samples, of.exemplars, of.histograms):
            refuse_more(len(items), size, _LEAST_ITEM_BYTES)
        labels, problem = _checked([(label.name, label.value) for label in of.labels[: _MOST_LABELS + 1]])
        exemplars = [({label.name: label.value for label in one.labels[:_MOST_LABELS]}, one) for one in of.exemplars]
        yield Series(labels, problem, of.samples, of.histograms, exemplars)


def series_of_2(request: Any, size: int) -> Iterator[Series]:
    """Of a Request of so many bytes. Raises BadRequest."""
    refuse_more(len(request.timeseries), size, _LEAST_SERIES_BYTES)
    symbols = list(request.symbols)
    if request.timeseries and (not symbols or symbols[0]):
        raise BadRequest("The table of symbols does not start with the empty one, as remote write 2.0 asks for.")
    for of in request.timeseries:
        for items in (of.samples, of.exemplars, of.histograms):
            refuse_more(len(items), size, _LEAST_ITEM_BYTES)
        try:
            labels, problem = _checked(_looked_up(symbols, of.labels_refs))
            exemplars = [(dict(_looked_up(symbols, one.labels_refs)), one) for one in of.exemplars]
            told = symbols[of.metadata.help_ref], symbols[of.metadata.unit_ref]
        except IndexError:
            labels, exemplars, told = {}, [], ("", "")
            problem = f"refers to symbols that are not among the {len(symbols)} sent, or to a name without a value."
        kind = of.metadata.type
        yield Series(labels, problem, of.samples, of.histograms, exemplars, kind, *told, of.created_timestamp)


def _looked_up(symbols: list[str], numbers: Any) -> list[tuple[str, str]]:
    """Pairs of them. Raises IndexError."""
    texts = [symbols[number] for number in numbers[: 2 * _MOST_LABELS + 2]]
    if len(texts) % 2:
        raise IndexError
    return list(zip(texts[::2], texts[1::2], strict=True))


def _checked(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], str]:
    """In any order; a label without a value is none (Prometheus data model)."""
    labels = dict(pairs)
    if len(pairs) > _MOST_LABELS:
        return labels, f"has more than {_MOST_LABELS} labels."
    if len(labels) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        return labels, f"has the label {twice[:100]!r} twice."
    if "" in labels:
        return labels, "has a label without a name."
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
    return labels, "" if "__name__" in labels else "has no __name__."

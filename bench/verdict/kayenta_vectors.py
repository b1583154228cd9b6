"""Is our Kayenta the real one? Its own tests' inputs, with what they expect (spinnaker/kayenta, Apache-2.0)."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from bench.verdict.peers import kayenta
from bench.verdict.results import AbsentError, Measure, Row, share

_FOLDER = "kayenta-vectors"
_NAMES = ("experimentData", "experiment", "x"), ("controlData", "control", "y")
_CLOSE = 1e-4  # what its root finder stops at


def rows(data: Path, quick: bool) -> list[Row]:
    """The share of usable vectors on which both agree."""
    vectors = read(data)
    told = [agreement for vector in vectors if (agreement := agrees(vector)) is not None]
    note = f"{len(vectors) - len(told)} of {len(vectors)} vectors are about other code or lack their parameters"
    row = share(Measure.PEERS, "Kayenta's own test vectors reproduced", sum(told), len(told), who="kayenta", note=note)
    return [row.at_least(1.0)]


def read(data: Path) -> list[dict[str, object]]:
    """The vectors; raises AbsentError."""
    path = data / _FOLDER / "vectors.json"
    if not path.exists():
        raise AbsentError(
            f"no {path}; put the arrays and assertions of spinnaker/kayenta's judge tests (ClassifierSuite.scala, "
            "MannWhitneySuite.scala, StatisticSuite.scala) there as JSON"
        )
    vectors: list[dict[str, object]] = json.loads(path.read_text())
    return vectors


def agrees(vector: dict) -> bool | None:  # type: ignore[type-arg]
    """None where the vector says too little, or is about something else than the Mann-Whitney rule."""
    x, y = (_array(vector["arrays"], *names) for names in _NAMES)
    text = "\n".join(vector["checks"])
    if (wanted := re.search(r"result\.classification == (\w+)", text)) is not None:
        rule = _rule(text)
        return None if rule is None else rule.classify(y, x) == wanted[1]
    if "EffectSizes." in text:
        return _agrees_on_size(text, x, y)
    if "wilcoxonDiff(" in text:
        found = re.findall(r"assertEquals\((\S+), mannWhitney\.wilcoxonDiff\((\d+), 0, x, y\)", text)
        return all(abs(kayenta.standardised(float(shift), x, y) - float(wanted)) < _CLOSE for wanted, shift in found)
    ends = {what: float(n) for n, what in re.findall(r"assertEquals\((-?[\d.E-]+), result\.([\w.]+), E\)", text)}
    return _agrees_on_interval(text, x, y, ends) if ends and len(x) else None


def _array(arrays: dict[str, list[float]], *names: str) -> np.ndarray:
    return np.array(next((arrays[name] for name in names if name in arrays), []), dtype=float)


def _rule(text: str) -> kayenta.Rule | None:
    made = re.search(r"MannWhitneyClassifier\(tolerance = ([\d.]+), confLevel = ([\d.]+)", text)
    if made is None:
        return None
    sizes = re.search(r"effectSizeThresholds = \(([\d.]+), ([\d.]+)\)", text)
    direction = re.search(r"MetricDirection\.(\w+)", text)
    return kayenta.Rule(
        tolerance=float(made[1]),
        confidence=float(made[2]),
        effect_sizes=(float(sizes[1]), float(sizes[2])) if sizes else (1.0, 1.0),
        measure="cles" if 'effectSizeMeasure="cles"' in text else "meanRatio",
        direction=direction[1] if direction else "Either",
        missing_passes="NaNStrategy.Replace" in text,
    )


def _agrees_on_size(text: str, x: np.ndarray, y: np.ndarray) -> bool | None:
    wanted = re.search(r"result === \(?(-?[\d.]+)", text)
    measure = kayenta.common_language if "cles" in text else kayenta.mean_ratio if "meanRatio" in text else None
    if measure is None or not len(x):
        return None
    found = measure(y, x)
    return bool(np.isnan(found)) if wanted is None else abs(found - float(wanted[1])) < 1e-3


def _agrees_on_interval(text: str, x: np.ndarray, y: np.ndarray, ends: dict[str, float]) -> bool:
    level = re.search(r"confidenceLevel = ([\d.]+)", text)
    found = kayenta.interval(x, y, float(level[1]) if level else 0.95)
    names = ("confidenceInterval.head", "confidenceInterval.last", "estimate")
    pairs: Iterable[tuple[float, float]] = ((ends[n], f) for n, f in zip(names, found, strict=True) if n in ends)
    return all(abs(wanted - value) <= _CLOSE for wanted, value in pairs)

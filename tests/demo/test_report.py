"""The report is the demo's contract with whoever reads it."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from onejob.demo import performance, report
from onejob.demo.errors import DemoError
from onejob.demo.report import Shipped
from onejob.demo.truth import draw


def shipped(truth: str = "worse", verdict: str = "worse", version: str = "v3") -> Shipped:
    return Shipped(
        version=version,
        truth=truth,
        verdict=verdict,
        sentence="checkout v3 is worse",
        seconds_to_verdict=12.3,
        requests_to_verdict=104,
        rolled_back=True,
        seconds_to_rollback=0.4,
        explained_operation="POST /quotes",
        explained_attribute="tenant.size=large",
        explained_span="SELECT 1",
        true_operation="POST /quotes",
        true_attribute="tenant.size=large",
        true_span="SELECT 1",
    )


def test_a_demo_that_breaks_off_reports_what_had_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks_off(*_: object, **__: object) -> Iterator[Shipped]:
        yield shipped()
        raise DemoError("It broke.")

    monkeypatch.setattr(performance, "open_house", lambda _, **__: nullcontext())
    monkeypatch.setattr(performance, "_play", breaks_off)
    path = tmp_path / "report.json"
    with pytest.raises(DemoError):
        performance.perform(Console(), headless=True, report=path, seed=1, keep=False)
    assert [each["version"] for each in json.loads(path.read_text())["deployments"]] == ["v3"]


def test_the_document_has_the_promised_fields_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "report.json"
    report.write(path, report.document(7, 250.04, [shipped()]))
    content = json.loads(path.read_text())
    assert list(content) == ["seed", "seconds_total", "deployments"]
    assert content["seconds_total"] == 250.0
    assert list(content["deployments"][0]) == [
        "version", "truth", "verdict", "sentence", "seconds_to_verdict", "requests_to_verdict", "rolled_back",
        "seconds_to_rollback", "explained_operation", "explained_attribute", "explained_span", "true_operation",
        "true_attribute", "true_span",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "verdict", "is_right"),
    [
        ("worse", "worse", True),
        ("worse", "undecided", False),
        ("worse", "better", False),
        ("harmless", "undecided", True),
        ("harmless", "no_worse", True),
        ("harmless", "worse", False),
        ("harmless", "better", False),
        ("better", "better", True),
        ("better", "no_worse", False),
    ],
)
def test_only_the_true_verdict_is_right(truth: str, verdict: str, is_right: bool) -> None:
    assert shipped(truth, verdict).is_right is is_right


def test_a_story_that_ended_early_is_not_all_right() -> None:
    planned = draw(1)
    everything = [replace(shipped(version.truth, version.truth), version=version.name) for version in planned]
    assert report.is_all_right(planned, everything)
    assert not report.is_all_right(planned, everything[:-1])

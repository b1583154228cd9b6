"""New log templates: is a message that was never logged before found within a minute, and is nothing else called new?

Logs of 16 systems, 2,000 lines each, with the template of every line (the public Loghub, Zhu et al., ISSRE 2023). Of
each system a tenth of the templates is held out, drawn at random, time and again. The first half of the other lines, in
the order they were recorded, is what the old version logged; the second half goes on as the new version, and each
held-out template is injected from a random moment on, line after line of it in turn.

The recorded times are of samples, many hours apart, so time is by line rate: 1,000 lines a minute, and an injected
template 20 times a minute, 2 % of the lines. `found` means told within a minute of its first line. `false` is told
though the old version had logged lines of the same template. What the recording itself shows for the first time in its
second half is new as well, so to tell it is neither.

Constants and rules of ours were chosen with 13 systems in view, the last of them Proxifier, whose hosts with ports were
taken for words when it was first measured (237 false per 100,000 lines of the four systems left then). Lines of HDFS,
Linux and Zookeeper were not looked at. Splits of one recording are not independent, so intervals are about these
recordings.

Beside ours: Drain3 as it comes, a new cluster being news; the same when a cluster must come as often as ours does; and
a line never seen before, with and without its numbers.
"""

import csv
import io
import random
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.verdict import workers
from bench.verdict.results import AbsentError, Measure, Row, clopper_pearson, share

from onejob.explain.novelty import RECURS, WITHIN_S, NewTemplates

ARCHIVE = "loghub2k/loghub_2k.tar.xz"
FETCH = "put the 2k samples of github.com/logpai/loghub there: SYSTEM/SYSTEM_2k.log_structured.csv in one archive"
LINES_A_MINUTE = 1000
A_MINUTE, SELDOM = 20, 10  # lines of an injected template
NOT_LOOKED_AT = ("HDFS", "Linux", "Zookeeper")
HELD_OUT = 0.1  # of the templates
SPLITS, SPLITS_QUICK = 24, 1
PER = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the new version: when (s), of which template, and what it says."""

    at_s: float
    template: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the old version logged, what the new one logs, and when each held-out template begins."""

    before: tuple[tuple[str, str], ...]
    after: tuple[Line, ...]
    begins_s: dict[str, float]


@dataclass(slots=True)
class Score:
    """Counts of one judge over cases."""

    held_out: int = 0
    found: int = 0
    lines: int = 0
    false: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(*(getattr(self, name) + getattr(other, name) for name in ("held_out", "found", "lines", "false")))


Judge = tuple[Callable[[str], object], Callable[[Line], bool]]
"""Learns a line of the old version; says whether a line of the new one is news."""


def rows(data: Path, quick: bool) -> list[Row]:
    """Ours beside the baselines: all systems, the half not looked at, and ours on rarer messages."""
    names = sorted(read(data / ARCHIVE))
    watched = [(who, A_MINUTE) for who in JUDGES if "Drain3" not in who or has_drain3()] + [("onejob", SELDOM)]
    jobs = [(who, a_minute, name) for who, a_minute in watched for name in names]
    found = workers.each(partial(_total, data / ARCHIVE, SPLITS_QUICK if quick else SPLITS), jobs)
    scores = dict(zip(jobs, found, strict=True))
    out = []
    for who, a_minute in watched:
        groups = {"": names} if a_minute == A_MINUTE else {f", {a_minute} lines a minute": names}
        if (who, a_minute) == ("onejob", A_MINUTE):
            groups[", systems not looked at"] = [name for name in names if name in NOT_LOOKED_AT]
        for group, members in groups.items():
            score = sum((scores[who, a_minute, name] for name in members), Score())
            out += _rows(score, group, who, is_aimed=not group)
    return out if has_drain3() else [*out, _without_drain3()]


def _total(archive: Path, splits: int, job: tuple[str, int, str]) -> Score:
    who, a_minute, name = job
    return total(read(archive)[name], name, splits, a_minute, JUDGES[who])


def has_drain3() -> bool:
    """It has no wheel, so it is not everywhere that the others are."""
    return find_spec("drain3") is not None


def _without_drain3() -> Row:
    note = "not installed: `make .venv/.dev` brings it"
    return Row(measure=Measure.TEMPLATES, name="found within a minute", who="Drain3", value=None, note=note)


def _rows(score: Score, group: str, who: str, *, is_aimed: bool) -> list[Row]:
    found = share(Measure.TEMPLATES, f"found within a minute{group}", score.found, score.held_out, who=who)
    low, high = (end * PER for end in clopper_pearson(score.false, score.lines))
    name, value = f"false per 100,000 lines{group}", score.false / max(1, score.lines) * PER
    false = Row(measure=Measure.TEMPLATES, name=name, value=value, low=low, high=high, who=who, n=score.lines)
    if who == "onejob" and is_aimed:
        return [found.at_least(0.95), false.at_most(1.0)]
    return [found, false]


def total(lines: Sequence[tuple[str, str]], name: str, splits: int, a_minute: int, judge: Callable[[], Judge]) -> Score:
    cases = (case(lines, random.Random(f"{name} {split}"), a_minute) for split in range(splits))
    return sum((watch(each, *judge()) for each in cases), Score())


@cache
def read(archive: Path) -> dict[str, list[tuple[str, str]]]:
    """(template, text) of every line in the order recorded, by system; the text is without the log's own header."""
    if not archive.exists():
        raise AbsentError(f"no {archive}; {FETCH}")
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = re.search(r"([^/]+)_2k\.log_structured\.csv$", member.name)
            file = tar.extractfile(member) if name else None
            if name and file:
                text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="")
                found[name[1]] = [(line["EventId"], line["Content"]) for line in csv.DictReader(text)]
    return found


def case(lines: Sequence[tuple[str, str]], rng: random.Random, a_minute: int) -> Case:
    templates = sorted({template for template, _ in lines})
    held = rng.sample(templates, max(1, round(HELD_OUT * len(templates))))
    rest = [line for line in lines if line[0] not in held]
    half = len(rest) // 2
    step_s = 60 / LINES_A_MINUTE
    after = [Line(at * step_s, *line) for at, line in enumerate(rest[half:])]
    begins = {template: rng.randrange(len(after)) * step_s for template in held}
    for template, begin_s in begins.items():
        texts = [text for of, text in lines if of == template]
        after += [Line(begin_s + n * 60 / a_minute, template, texts[n % len(texts)]) for n in range(a_minute)]
    return Case(tuple(rest[:half]), tuple(sorted(after, key=lambda line: line.at_s)), begins)


def watch(case: Case, learn: Callable[[str], object], is_news: Callable[[Line], bool]) -> Score:
    for _, text in case.before:
        learn(text)
    old = {template for template, _ in case.before}
    told = [line for line in case.after if is_news(line)]
    found = {line.template for line in told if line.at_s - case.begins_s.get(line.template, float("-inf")) <= 60}
    return Score(
        held_out=len(case.begins_s),
        found=len(found),
        lines=len(case.after),
        false=sum(line.template in old for line in told),
    )


def ours() -> Judge:
    templates = NewTemplates()
    return templates.learn, lambda line: templates.see(line.text, line.at_s) is not None


def _drain() -> Any:
    from drain3.drain import Drain  # noqa: PLC0415 - may be absent

    return Drain()


def drain3() -> Judge:
    drain = _drain()
    return drain.add_log_message, lambda line: drain.add_log_message(line.text)[1] == "cluster_created"


def drain3_recurring() -> Judge:
    drain = _drain()
    times: dict[int, list[float]] = {}

    def is_news(line: Line) -> bool:
        cluster, change = drain.add_log_message(line.text)
        if change == "cluster_created":
            times[cluster.cluster_id] = []
        if cluster.cluster_id not in times:
            return False
        times[cluster.cluster_id].append(line.at_s)
        last = times[cluster.cluster_id][-RECURS:]
        is_sure = len(last) == RECURS and last[-1] - last[0] <= WITHIN_S
        if is_sure:
            del times[cluster.cluster_id]
        return is_sure

    return drain.add_log_message, is_news


def never_seen(strip: Callable[[str], str]) -> Judge:
    seen: set[str] = set()

    def is_news(line: Line) -> bool:
        is_new = strip(line.text) not in seen
        seen.add(strip(line.text))
        return is_new

    return lambda text: seen.add(strip(text)), is_news


_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+")

JUDGES: dict[str, Callable[[], Judge]] = {
    "onejob": ours,
    "Drain3": drain3,
    "Drain3, recurring": drain3_recurring,
    "line never seen": lambda: never_seen(str),
    "never seen, without numbers": lambda: never_seen(lambda text: _NUMBERS.sub("", text)),
}

"""The verdict's sentence as a page sets it: names of operations as code, intervals in grey, the afterthought apart."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from onejob.model.deployment import Deployment
from onejob.model.explanation import Explanation
from onejob.model.verdict import Verdict
from onejob.words import plain, shorten

_QUIET = re.compile(r"\([^()]{1,60}\)")
# In a list there is no explanation at hand that would say what is a name: statements and `name = value` are.
_NEGATIVE = re.compile(r"(?<=[ (])-(?=\d)")
_STATEMENT = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b.+?(?= became | takes | fails | waits )", re.DOTALL)
_VALUE = re.compile(r"(?<= for )[\w.-]+ = .{1,80}?(?=, because |[.;]|$)", re.DOTALL)
_SQL = re.compile(
    r"^(SELECT)\b.*?\bFROM\s+([\w.\"]+)|^(INSERT)\s+INTO\s+([\w.\"]+)|^(UPDATE)\s+([\w.\"]+)|^(DELETE)\s+FROM\s+([\w.\"]+)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence; `kind` is `text`, `code` or `quiet`."""

    kind: str
    text: str


def set_sentence(sentence: str, names: Mapping[str, str]) -> list[Part]:
    """Split so that every name is code, in its short form, and every short bracket is quiet."""
    known = sorted({name for name in names if name and name in sentence}, key=len, reverse=True)
    sentence = _NEGATIVE.sub("−", sentence)
    given = (_STATEMENT.pattern, _VALUE.pattern, _QUIET.pattern)
    pattern = re.compile("|".join([*(re.escape(name) for name in known), *given]), re.DOTALL)
    parts, at = [], 0
    for found in pattern.finditer(sentence):
        if found.start() > at:
            parts.append(Part("text", sentence[at : found.start()]))
        text = found.group()
        quiet = text.startswith("(") and text not in names
        parts.append(Part("quiet", text) if quiet else Part("code", names.get(text) or short_label(text)))
        at = found.end()
    return [*parts, Part("text", sentence[at:])] if at < len(sentence) else parts


def headline_and_rest(sentence: str) -> tuple[str, str]:
    """The claim, and what is said after the first semicolon outside of brackets."""
    depth = 0
    for index, character in enumerate(sentence):
        depth += (character == "(") - (character == ")")
        if character == ";" and depth == 0:
            return sentence[:index].strip(), sentence[index + 1 :].strip().rstrip(".")
    return sentence.strip().rstrip("."), ""


def without_subject(sentence: str, deployment: Deployment) -> str:
    """In a list the row already names service, version and verdict: keep what follows the colon."""
    subject = f"{deployment.service} {deployment.version} "
    if not sentence.startswith(subject):
        return sentence
    rest = sentence[len(subject) :]
    head, colon, tail = rest.partition(": ")
    return tail if colon and len(head) < 40 else rest


def names_in(verdict: Verdict | None, explanation: Explanation | None = None) -> dict[str, str]:
    """Every name the sentence may contain, with how the page writes it."""
    names = {signal.operation: shorten(signal.operation) for signal in verdict.signals} if verdict else {}
    if explanation:
        for call in explanation.calls:
            names[call.path[-1]] = short_label(call.path[-1])
        for one in explanation.attributes:
            names[f"{one.name} = {one.value}"] = f"{one.name} = {shorten(one.value, 40)}"
    return {name: short for name, short in names.items() if len(name) > 1}


def short_label(label: str, limit: int = 44) -> str:
    """`SELECT price FROM prices WHERE ...` -> `SELECT prices`; other labels are only cut."""
    if found := _SQL.match(label.strip()):
        verb, table = [group for group in found.groups() if group][:2]
        return f"{verb.upper()} {table}"
    return shorten(label, limit)


def calls(value: float) -> str:
    """Calls per request: whole where they nearly are."""
    return plain(round(value)) if abs(value - round(value)) < 0.05 else plain(value, 2)

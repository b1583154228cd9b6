"""Log lines as templates: which words are the message, and which are its values?

Drain (He, Zhu, Zheng, Lyu, ICWS 2017) groups lines of as many words that begin alike and in which most words are the
same. That is enough to list what a service logs, and too coarse to say that a line is *new*: "session closed for
user root" is to it the same as "session opened ...", four of five words being equal, while a value of two words makes
another template of each line. So beside the groups it is counted, per word of a template, what stood there. How likely
something unseen is at a place is then known, by Good and Turing (Good 1953): a place that held a hundred user names,
half of them once, will hold another; one that held the same word a hundred times will not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onejob.model.redaction import MASK

VALUE = "<*>"
MAX_WORDS = 100  # of a line; the message is at its start
# A line is of a known template if what is unseen in it is this likely: at a place where values were seen to vary it
# is; where only one word ever stood it is not, however seldom (0.1 / 2 after a single line).
KNOWN = 0.1
# New templates have a line or two to show: one word of four or more may differ, and is a value from then on.
_SAME_NEW = 0.02
_LEAST_WORDS = 4
_ALIKE = 0.6  # share of words that lines of one group have in common at least; Drain's authors use 0.3 to 0.7
_MOST_STARTS = 100  # first words told apart among lines of a length, as Drain's authors have it: more are values
_PRIOR = 0.1  # one word in ten is a value, before anything is known of its place (numbers and paths are taken out)
_VARIES = 10  # different words at a place: no message has as many wordings, so it is a value whatever stands there
_MOST_KNOWN = 50_000  # lines remembered word for word, which only saves time
_BREAKS = re.compile(r"""(?:[\s=:,;()\[\]{}<>|"'`@]|\.\.+)+""")
# Or file and line. It takes no name's end for another name (`++`): a word of 2,000 letters took 20 ms otherwise.
_HOST_AND_PORT = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]++)++:\d+")
_MASKED = MASK.strip("[]")
# A digit, or a path: absolute, or with two slashes, or with one and a dot ("read/write" is none).
_IS_VALUE = re.compile(r"\d|^[/\\]|[/\\].*[/\\.]|\..*[/\\]")


def words_of(line: str) -> tuple[str, ...]:
    """The words of a line; what has a digit and paths are a `VALUE`, runs of them one.

    >>> words_of("Accepted password for root from 10.0.0.7 port 22")
    ('Accepted', 'password', 'for', 'root', 'from', '<*>', 'port', '<*>')
    """
    words: list[str] = []
    for part in _BREAKS.split(_HOST_AND_PORT.sub("0", line)):
        word = part.strip(".-_#*!?")
        if word == _MASKED:
            word = MASK
        if _IS_VALUE.search(word):
            word = VALUE
        if word and not (word == VALUE and words[-1:] == [VALUE]):
            words.append(word)
        if len(words) == MAX_WORDS:
            break
    return tuple(words)


@dataclass(frozen=True, slots=True)
class Template:
    """What stood at each place, with counts; `sample` is the first line of it."""

    sample: str
    places: tuple[Counter[str], ...]

    @classmethod
    def of(cls, words: tuple[str, ...], sample: str) -> "Template":
        return cls(sample, tuple(Counter({word: 1}) for word in words))

    def count(self, words: tuple[str, ...]) -> None:
        for place, word in zip(self.places, words, strict=True):
            place[word] += 1

    def alike(self, words: tuple[str, ...]) -> float:
        """Share of places where only ever the same word stood as in `words`; 1 for no words."""
        same = sum(len(place) == 1 and word in place for place, word in zip(self.places, words, strict=True))
        return same / len(words) if words else 1.0

    def likelihood(self, words: tuple[str, ...], least: float) -> float:
        """How likely its places hold something unseen where `words` do; 0 once that is below `least`."""
        chance = 1.0
        for place, word in zip(self.places, words, strict=True):
            if word not in place:
                chance *= unseen(place)
                if chance < least:
                    return 0.0
        return chance

    def __str__(self) -> str:
        return " ".join(next(iter(place)) if len(place) == 1 else VALUE for place in self.places)


def unseen(place: Counter[str]) -> float:
    """Chance that the next word at a place is one that never stood there: (N1 + prior) / (N + 1).

    N1 is the number of words seen once, N of all observations. A single word tells nothing of others (N1 = 0), and
    where many stood, another is no surprise: 1.
    """
    if len(place) >= _VARIES:
        return 1.0
    once = sum(n == 1 for n in place.values()) if len(place) > 1 else 0
    return (once + _PRIOR) / (place.total() + 1)


class Templates:
    """Templates learned from lines as they come."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[Template]] = {}
        self._by_start: dict[int, dict[str, list[Template]]] = {}
        self._known: dict[tuple[str, ...], Template] = {}

    def learn(self, line: str, words: tuple[str, ...]) -> None:
        """One more line of what is known."""
        template = self._known.get(words)
        if template is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            template = self._known[words] = self._group(line, words)
        template.count(words)

    def find(self, words: tuple[str, ...], least: float) -> Template | None:
        """The likeliest template of these words, None where none is likelier than `least`; an exact match is sure."""
        return self._known.get(words) or likeliest(self._by_length.get(len(words), ()), words, least)

    def __iter__(self) -> Iterator[Template]:
        return (template for of_length in self._by_length.values() for template in of_length)

    def _group(self, line: str, words: tuple[str, ...]) -> Template:
        """Drain's tree: by the number of words, the first of them, and then the template most alike, or a new one."""
        starts = self._by_start.setdefault(len(words), {})
        start = words[0] if words else ""
        if start not in starts and len(starts) >= _MOST_STARTS:
            start = VALUE
        alike = starts.setdefault(start, [])
        best = max(alike, key=lambda template: template.alike(words), default=None)
        if best is None or best.alike(words) < _ALIKE:
            best = Template(line, tuple(Counter[str]() for _ in words))
            alike.append(best)
            self._by_length.setdefault(len(words), []).append(best)
        return best


def same_new(templates: Iterable[Template], words: tuple[str, ...]) -> Template | None:
    """Of new templates with as many words, the one that these are likeliest of."""
    return likeliest(templates, words, _SAME_NEW if len(words) >= _LEAST_WORDS else KNOWN)


def likeliest(templates: Iterable[Template], words: tuple[str, ...], least: float) -> Template | None:
    """Of templates with as many words; None where none has at least this likelihood."""
    best, chance = None, 0.0
    for template in templates:
        this = template.likelihood(words, max(least, chance))
        if this > chance:
            best, chance = template, this
    return best

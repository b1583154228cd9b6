"""The log messages of a service, told apart by Drain, and kept over restarts.

Drain (He, Zhu, Zheng, Lyu, ICWS 2017) in the form of drain3 groups lines of as many words that begin alike and have
most words in common. What is a value by its form (numbers, ids, paths, hosts) is taken out before, as
`verdict/templates.py` does. A template changes as it takes lines in; what it is known by does not: the words it was
first seen with.

drain3 would keep its state with jsonpickle, whose reading runs whatever the data asks for. Here it is plain JSON of
the templates, the one used longest ago first, of which Drain's tree is built again.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

from drain3.drain import Drain, LogCluster

from onejob import words
from onejob.state.blanking import Names
from onejob.verdict.templates import VALUE, words_of

# Share of words in common, of which drain3 does not count values; Drain's authors use 0.3 to 0.7. One word of two is
# not enough ("payment declined", "payment accepted"), four of seven are.
_ALIKE = 0.55
_MOST_WORD_CHARS = 60  # what is longer is data
_MOST_CHARS = 120


@dataclass(frozen=True, slots=True)
class LogTemplate:
    """`text` is the message as it is known now, with `<*>` for values; `fingerprint` stays."""

    fingerprint: str
    text: str


class LogTemplates:
    """Of one service, at most `most` of them; `packed` is what `pack` gave."""

    def __init__(self, most: int, packed: bytes | None = None) -> None:
        self._drain = Drain(sim_th=_ALIKE, max_clusters=most, param_str=VALUE)
        self._marks: dict[int, str] = {}  # by number of the template, the one used last at the end
        if packed is not None:
            self._unpack(json.loads(zlib.decompress(packed)), most)

    def __len__(self) -> int:
        return len(self._drain.id_to_cluster)

    def learn(self, line: str) -> LogTemplate | None:
        """The template of a line, which may be a new one; None for a line without words."""
        known = tuple(word[:_MOST_WORD_CHARS] for word in words_of(line))
        if not known:
            return None
        cluster, _ = self._drain.add_log_message(" ".join(known))
        number: int = cluster.cluster_id
        self._marks[number] = self._marks.pop(number, "") or _mark(known)
        if len(self._marks) > len(self):
            self._marks = {n: mark for n, mark in self._marks.items() if n in self._drain.id_to_cluster}
        return LogTemplate(self._marks[number], words.shorten(cluster.get_template(), _MOST_CHARS))

    def pack(self) -> bytes:
        """All that is needed to go on."""
        found = ((number, mark, self._drain.id_to_cluster.get(number)) for number, mark in self._marks.items())
        templates = [[number, mark, one.size, list(one.log_template_tokens)] for number, mark, one in found]
        document = {"numbers": self._drain.clusters_counter, "templates": templates}
        return zlib.compress(json.dumps(document, separators=(",", ":")).encode("utf-8", "replace"))

    def _unpack(self, document: dict[str, Any], most: int) -> None:
        for number, mark, size, tokens in document["templates"][-most:]:
            cluster = LogCluster(tokens, number)
            cluster.size = size
            self._drain.id_to_cluster[number] = cluster
            self._marks[number] = mark
        for number in sorted(self._marks):  # the order in which they grew: of two as alike, the first is taken
            self._drain.add_seq_to_prefix_tree(self._drain.root_node, self._drain.id_to_cluster.get(number))
        self._drain.clusters_counter = document["numbers"]


def blanked(packed: bytes, names: Names) -> bytes | None:
    """What `pack` gave without names: a value stands for them, as it does for all that differs. None if there are none.

    What a template is known by stays, so that a message goes on to be known.
    """
    document = json.loads(zlib.decompress(packed))
    before = [tokens for *_, tokens in document["templates"]]
    after = [names.blank_words(tokens, VALUE) for tokens in before]
    if after == before:
        return None
    document["templates"] = [[*one[:-1], tokens] for one, tokens in zip(document["templates"], after, strict=True)]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode("utf-8", "replace"))


def _mark(known: tuple[str, ...]) -> str:
    return hashlib.sha256(" ".join(known).encode("utf-8", "replace")).hexdigest()[:16]

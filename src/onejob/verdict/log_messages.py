"""Which lines of logs are the same message, and which of them control has logged: what of the new version's is new?

A line is told by its words, and a known message goes on to get words it never had: names, reasons, keys. So a line that
was never seen is new only where nothing varied before (`templates`). Drain's groups, which list what a service logs, do
not serve here: they depend on all that came before, and a verdict has to be the same when it is computed again.
"""

from dataclasses import dataclass, field, replace

from onejob.model.evidence import NoveltyCell
from onejob.verdict.templates import KNOWN, Template, Templates, same_new, words_of

KIND = "log_template"
_MOST_NEW = 500  # messages that only the new version logs; beyond them it logs data


@dataclass(slots=True)
class LogMessages:
    """Of one deployment; what it answers depends on the order of the calls, bin by bin."""

    _known: Templates = field(default_factory=Templates)
    _new: dict[int, list[tuple[str, Template]]] = field(
        default_factory=dict
    )  # by number of words; with the fingerprint

    def learn(self, cell: NoveltyCell) -> NoveltyCell | None:
        """A line that control logs: the cell of the new message it turns out to be, None if nobody took it for new."""
        words = words_of(cell.sample)
        self._known.learn(cell.sample, words)
        mark = self._same(words)
        return None if mark is None else replace(cell, fingerprint=mark)

    def see(self, cell: NoveltyCell) -> NoveltyCell | None:
        """A line that the new version logs: the cell of its message, None if the message is known."""
        words = words_of(cell.sample)
        if not words or self._known.find(words, KNOWN) is not None:
            return None
        mark = self._same(words)
        if mark is not None:
            return replace(cell, fingerprint=mark)
        if sum(map(len, self._new.values())) >= _MOST_NEW:
            return None
        self._new.setdefault(len(words), []).append((cell.fingerprint, Template.of(words, cell.sample)))
        return cell

    def _same(self, words: tuple[str, ...]) -> str | None:
        """The fingerprint of the new message that these words are likeliest of, which learns from them."""
        alike = self._new.get(len(words), [])
        best = same_new((template for _, template in alike), words)
        if best is None:
            return None
        best.count(words)
        return next(mark for mark, template in alike if template is best)

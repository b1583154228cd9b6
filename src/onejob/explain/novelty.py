"""Messages that a version logs and the one before it never did.

A line that fits no known template is no news yet: known messages go on to get values they never had. What tells the two
apart is that a new message comes again. So a template is new once it came back a few times within a minute, and is told
once, with its first line. Lines of the old version may go on to come (a canary): what they show is not new.
"""

from collections import deque
from dataclasses import dataclass, field

from onejob.verdict.templates import KNOWN, Template, Templates, same_new, words_of

RECURS = 5  # times within `WITHIN_S`: a value recurs too, but seldom so often; a message that matters does
WITHIN_S = 60.0
MOST_CANDIDATES = 1_000  # of as many words each; what is more is no message but data


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTemplate:
    """A message never seen before: `template` with values as `<*>`, its first line, when it came and when it was sure.

    Times are the caller's, in s.
    """

    template: str
    sample: str
    first_s: float
    told_s: float


@dataclass(slots=True)
class _Candidate:
    template: Template
    first_s: float
    times: deque[float] = field(default_factory=lambda: deque(maxlen=RECURS))
    is_told: bool = False


@dataclass(slots=True)
class NewTemplates:
    """Learns what the old version logs, and tells what only the new one does."""

    most_candidates: int = MOST_CANDIDATES
    _known: Templates = field(default_factory=Templates)
    _new: dict[int, list[_Candidate]] = field(default_factory=dict)

    def learn(self, line: str) -> None:
        """A line of the old version."""
        words = words_of(line)
        self._known.learn(line, words)
        candidates = self._new.get(len(words))
        if candidates:
            mistaken = self._same(words)
            candidates[:] = [each for each in candidates if each is not mistaken]

    def see(self, line: str, at_s: float) -> NewTemplate | None:
        """A line of the new version, at a time not before the one before; the template, the moment it is sure."""
        words = words_of(line)
        known = self._known.find(words, KNOWN)
        if known is not None:
            known.count(words)
            return None
        candidate = self._same(words)
        if candidate is None:
            candidate = self._begin(words, line, at_s)
        else:
            candidate.template.count(words)
        return _told(candidate, at_s)

    def _begin(self, words: tuple[str, ...], line: str, at_s: float) -> _Candidate:
        """A first line. Where there is no room, those that did not come again in time are forgotten, to start anew."""
        candidates = self._new.setdefault(len(words), [])
        if len(candidates) >= self.most_candidates:
            waiting = [each for each in candidates if each.is_told or at_s - each.times[-1] <= WITHIN_S]
            candidates[:] = waiting[max(0, len(waiting) + 1 - self.most_candidates) :]
        candidates.append(_Candidate(Template.of(words, line), at_s))
        return candidates[-1]

    def _same(self, words: tuple[str, ...]) -> _Candidate | None:
        """The new template that these words are likeliest of."""
        candidates = self._new.get(len(words), [])
        best = same_new((candidate.template for candidate in candidates), words)
        return next((candidate for candidate in candidates if candidate.template is best), None)


def _told(candidate: _Candidate, at_s: float) -> NewTemplate | None:
    candidate.times.append(at_s)
    if candidate.is_told or len(candidate.times) < RECURS or at_s - candidate.times[0] > WITHIN_S:
        return None
    candidate.is_told = True
    template = candidate.template
    return NewTemplate(template=str(template), sample=template.sample, first_s=candidate.first_s, told_s=at_s)

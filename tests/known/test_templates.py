"""Templates of log messages: what is known stays known over a restart, whatever is logged."""

from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.known.templates import LogTemplates

WORDS = st.sampled_from(["order", "payment", "user", "anna", "bert", "failed", "done", "17", "/tmp/x", "id=4bf92f35"])
LINES = st.lists(st.lists(WORDS, max_size=7).map(" ".join) | st.text(max_size=60), max_size=40)


def fingerprints(templates: LogTemplates, lines: list[str]) -> list[str]:
    found = (templates.learn(line) for line in lines)
    return [one.fingerprint if one else "" for one in found]


@given(before=LINES, after=LINES)
@settings(max_examples=60)
def test_a_restart_changes_nothing(before: list[str], after: list[str]) -> None:
    going_on = LogTemplates(1_000)
    fingerprints(going_on, before)
    restarted = LogTemplates(1_000, going_on.pack())

    assert fingerprints(restarted, after) == fingerprints(going_on, after)
    assert restarted.pack() == going_on.pack()


@given(LINES)
def test_a_line_has_the_same_fingerprint_when_it_comes_again_at_once(lines: list[str]) -> None:
    templates = LogTemplates(1_000)
    for line in lines:
        assert templates.learn(line) == templates.learn(line)


def test_values_are_left_out_and_words_that_vary_become_values() -> None:
    templates = LogTemplates(10)
    first = templates.learn("user anna paid order 17 from 10.0.0.7")
    second = templates.learn("user bert paid order 99 from 10.0.0.9")
    other = templates.learn("cache is warm")

    assert first is not None
    assert second is not None
    assert other is not None
    assert first.text == "user anna paid order <*> from <*>"
    assert second.text == "user <*> paid order <*> from <*>"
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert templates.learn(" \n\t ") is None
    assert templates.learn("payment declined") != templates.learn("payment accepted")


def test_no_more_are_kept_than_allowed_and_the_state_stays_small() -> None:
    templates = LogTemplates(50)
    sizes = []
    for n in range(500):
        word = "".join(chr(97 + n // 26**place % 26) for place in range(4))
        templates.learn(f"{word} {word}a {word}b {word}c " + "x" * 2_000)
        if n % 100 == 99:
            sizes.append(len(templates.pack()))

    assert len(templates) == 50
    assert len(LogTemplates(50, templates.pack())) == 50
    assert len(LogTemplates(20, templates.pack())) == 20
    assert max(sizes) < 20_000


def test_one_that_was_forgotten_and_comes_again_is_known_by_the_same_fingerprint() -> None:
    templates = LogTemplates(10)
    first = templates.learn("the disk is full")
    for word in "abcdefghijklmnopqrstuvwxyz":
        templates.learn(f"{word}{word} {word}x {word}y")
    again = templates.learn("the disk is full")
    assert first == again

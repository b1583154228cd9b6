"""Messages that only the new version logs, told from known ones with values never seen."""

import pickle
import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.explain.novelty import RECURS, WITHIN_S, NewTemplate, NewTemplates
from onejob.verdict.templates import VALUE, words_of

USERS = [f"{a}{b}" for a in ("anna", "bert", "carla", "dora", "emil") for b in ("beth", "lin", "ton", "rich", "ova")]


def a_log(lines: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    forms = [
        lambda: f"session opened for user {draw.choice(USERS)}",
        lambda: f"GET /orders/{draw.randrange(10_000)} took {draw.random():.3f} s",
        lambda: f"connected to db-{draw.randrange(9)}.internal:5432 as reader",
        lambda: f"cache {draw.choice(['hit', 'miss'])} for key {draw.getrandbits(64):016x}",
    ]
    return [draw.choice(forms)() for _ in range(lines)]


def watched(lines: int = 400) -> NewTemplates:
    templates = NewTemplates()
    for line in a_log(lines):
        templates.learn(line)
    return templates


def told(templates: NewTemplates, lines: list[str], every_s: float = 1.0) -> list[NewTemplate]:
    seen = (templates.see(line, at * every_s) for at, line in enumerate(lines))
    return [each for each in seen if each is not None]


def test_a_message_never_logged_before_is_told_once_when_it_recurs() -> None:
    lines = [f"payment {n} declined by the bank" for n in range(30)]
    found = told(watched(), lines)

    assert [(each.template, each.sample) for each in found] == [(f"payment {VALUE} declined by the bank", lines[0])]
    assert (found[0].first_s, found[0].told_s) == (0.0, RECURS - 1)


def test_one_word_that_always_stood_there_makes_a_message_new_when_it_is_another() -> None:
    found = told(watched(), ["session closed for user annabeth"] * RECURS)

    assert [each.sample for each in found] == ["session closed for user annabeth"]


def test_a_known_message_with_values_never_seen_is_not_new() -> None:
    strangers = [f"session opened for user {name}" for name in ("zoe", "yann", "xenia", "walt", "vera", "udo")]

    assert told(watched(), strangers * RECURS) == []
    assert told(watched(), a_log(1_000, seed=2)) == []


def test_what_comes_seldom_is_not_told() -> None:
    assert told(watched(), ["disk is nearly full"] * 50, every_s=WITHIN_S / (RECURS - 2)) == []
    assert told(watched(), ["disk is nearly full"] * (RECURS - 1)) == []


def test_what_the_old_version_logs_as_well_is_not_new_also_when_it_does_so_later() -> None:
    templates = watched()
    message = "disk is nearly full"
    before = told(templates, [message] * (RECURS - 1))
    templates.learn(message)

    assert before + told(templates, [message] * 10 * RECURS) == []


def test_a_flood_of_lines_that_never_come_again_takes_no_more_room_and_hides_no_message() -> None:
    flood = ["".join(letters) for letters in permutations("abcdef")]
    sizes = []
    for lines in (flood[:100], flood):
        templates = NewTemplates(most_candidates=50)
        assert len(told(templates, lines + ["overflow"] * RECURS)) == 1
        sizes.append(len(pickle.dumps(templates)))
    assert sizes[1] < 1.2 * sizes[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ()),
        ("wrote 12 of 14 bytes to /var/log/x.log", ("wrote", VALUE, "of", VALUE, "bytes", "to", VALUE)),
        ("proxy.example.org:443 error: no read/write", (VALUE, "error", "no", "read/write")),
        ("flags 0x1f 0x2a 7 done", ("flags", VALUE, "done")),
        ("waiting........0", ("waiting", VALUE)),
        ("paid by [redacted], card [redacted].", ("paid", "by", "[redacted]", "card", "[redacted]")),
    ],
)
def test_numbers_paths_and_hosts_are_values(line: str, words: tuple[str, ...]) -> None:
    assert words_of(line) == words


@settings(deadline=None)  # machines are busy at times
@given(st.lists(st.text(max_size=80), max_size=40))
def test_what_was_learned_is_never_new(lines: list[str]) -> None:
    templates = NewTemplates()
    for line in lines:
        templates.learn(line)

    assert told(templates, lines * RECURS) == []


@settings(deadline=None)  # machines are busy at times
@given(st.lists(st.text(max_size=80), max_size=40))
def test_nothing_is_told_more_often_than_there_are_messages(lines: list[str]) -> None:
    found = told(NewTemplates(), lines * RECURS, every_s=0.0)

    assert len(found) <= len({words_of(line) for line in lines})

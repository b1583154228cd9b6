"""The live screen and the lines."""

import io
from dataclasses import replace

from rich.console import Console
from tests.demo.test_report import shipped

from onejob.demo.narrator import Lines, Scene, results
from onejob.demo.screen import Screen
from onejob.demo.truth import draw


def console() -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, force_terminal=True, width=140), output


def test_the_screen_shows_the_address_the_share_and_the_sentence_as_they_are() -> None:
    terminal, output = console()
    screen = Screen(terminal, "http://127.0.0.1:8320", lambda: "93 requests/s")
    screen.show(Scene(version="v3", share=0.1, requests=1234, state="worse", sentence="p95 rose [38 %]"))
    screen.say("v3 gets 10 %")
    screen.shipped(replace(shipped(), sentence="[/] is no markup"))
    screen.close()
    shown = output.getvalue()
    for part in ("http://127.0.0.1:8320/deployments", "10%", "1,234", "p95 rose [38 %]", "[/] is no markup"):
        assert part in shown


def test_lines_say_when_it_happened_and_whether_it_was_right() -> None:
    terminal, output = console()
    lines = Lines(terminal)
    lines.shipped(shipped("harmless", "worse", "v2"))
    assert "0.0 s  v2: worse (wrong)." in output.getvalue()
    lines.shipped(shipped("worse", "worse", "v3"))
    assert "v3: worse (right)." in output.getvalue()


def test_why_an_undecided_verdict_of_a_harmless_version_is_right_is_said() -> None:
    terminal, output = console()
    Lines(terminal).shipped(shipped("harmless", "undecided", "v2"))
    assert "v2: undecided (right: it is harmless, and nothing is held against it)." in output.getvalue()


def test_the_table_tells_in_the_end_what_every_version_was() -> None:
    terminal, output = console()
    planned = draw(1)
    terminal.print(results([shipped()], planned))
    assert "41 price queries" in output.getvalue()

"""The generated fleet shows what it is there to show."""

from bench.verdict import fleet


def test_one_event_of_all_services_is_excused_and_damage_of_one_is_not() -> None:
    found = fleet.judged(1)
    assert found["harmless"][1] > fleet.ALPHA
    assert found["fleet"][1] > 0.1
    assert found["own"][1] < fleet.ALPHA


def test_the_minute_of_onset_is_mostly_held() -> None:
    assert sum(fleet.holds_the_minute(seed) for seed in range(100)) >= 95

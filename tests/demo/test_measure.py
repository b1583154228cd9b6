"""Times and counts out of samples of a counter."""

from onejob.demo.measure import RequestsSeen


def seen(*samples: tuple[float, int]) -> RequestsSeen:
    return RequestsSeen(list(samples))


def test_before_the_first_request_there_is_no_first_and_no_last() -> None:
    quiet = seen((10.0, 500), (10.2, 500))
    assert (quiet.first_at(), quiet.last_at(), quiet.total) == (None, None, 0)


def test_requests_before_the_first_sample_are_another_versions() -> None:
    assert seen((10.0, 500), (10.2, 503)).total == 3


def test_the_first_request_came_after_the_last_sample_without_one() -> None:
    assert seen((10.0, 5), (10.2, 5), (10.4, 6), (10.6, 9)).first_at() == 10.2


def test_no_request_came_after_the_counter_had_its_last_value() -> None:
    assert seen((10.0, 5), (10.2, 8), (10.4, 9), (10.6, 9), (12.0, 9)).last_at() == 10.4


def test_between_samples_the_counter_rises_evenly() -> None:
    counter = seen((10.0, 100), (12.0, 120), (14.0, 120))
    assert [counter.until(at) for at in (9.0, 10.0, 11.0, 13.0, 20.0)] == [0, 0, 10, 20, 20]

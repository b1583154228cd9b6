"""What Envoy's counters say of versions that misbehave in every way we know, with real ones."""

import pytest
from tests.act.builders import T0, after
from tests.act.envoys import SHORT_TIMEOUT_S, Envoy
from tests.act.origins import an_origin
from tests.waiting import PATIENT_S

from onejob.act.drivers import ArmCounters, EnvoyDriver
from onejob.act.sampling import Sampler
from onejob.model.evidence import Arm, RouterCount


def counts_of_treatment(
    envoy: Envoy, driver: EnvoyDriver, behaviour: str, client_timeout_s: float = PATIENT_S
) -> RouterCount:
    """Five requests to a version that behaves so, as the sample of one look."""
    if behaviour == "hangs" and client_timeout_s == PATIENT_S:
        envoy.route["timeout"] = f"{SHORT_TIMEOUT_S}s"
    sampler = Sampler()
    with envoy, an_origin(behaviour, envoy.treatment_port):
        driver.set_share(1.0)
        assert sampler.sample(driver.read_counts(), 1.0, T0) == []
        envoy.send(5, client_timeout_s)
        envoy.wait_until_idle()
        _, treatment = sampler.sample(driver.read_counts(), 1.0, after(1))
    return treatment


@pytest.mark.parametrize(
    ("behaviour", "failed", "resets", "timeouts"),
    [
        ("answers", 0, 0, 0),
        ("fails", 5, 0, 0),
        ("resets", 5, 5, 0),
        ("closes", 5, 5, 0),
        ("is away", 5, 5, 0),
        ("hangs", 5, 0, 5),
        ("breaks off", 0, 0, 0),
    ],
)
def test_each_failed_request_is_counted_once(
    behaviour: str, failed: int, resets: int, timeouts: int, envoy: Envoy, driver: EnvoyDriver
) -> None:
    treatment = counts_of_treatment(envoy, driver, behaviour)

    assert (treatment.requests, treatment.errors_5xx) == (5, failed)
    assert (treatment.resets, treatment.timeouts) == (resets, timeouts)


def test_a_client_that_leaves_before_the_route_times_out_is_a_failed_request_too(
    envoy: Envoy, driver: EnvoyDriver
) -> None:
    treatment = counts_of_treatment(envoy, driver, "hangs", client_timeout_s=0.1)

    assert (treatment.requests, treatment.errors_5xx, treatment.timeouts) == (5, 5, 5)


@pytest.mark.parametrize("behaviour", ["fails", "resets", "is away", "hangs"])
def test_envoys_own_retries_are_not_further_requests(behaviour: str, envoy: Envoy, driver: EnvoyDriver) -> None:
    envoy.route["retry_policy"] = {"retry_on": "5xx,reset,connect-failure", "num_retries": 2}

    treatment = counts_of_treatment(envoy, driver, behaviour)

    assert (treatment.requests, treatment.errors_5xx) == (5, 5)


def test_a_version_without_a_healthy_endpoint_fails_every_request(envoy: Envoy, driver: EnvoyDriver) -> None:
    envoy.config["static_resources"]["clusters"][1]["load_assignment"]["endpoints"] = []

    treatment = counts_of_treatment(envoy, driver, "is away")

    assert (treatment.requests, treatment.errors_5xx, treatment.resets) == (5, 5, 5)


def test_a_restarted_envoy_is_a_new_baseline(envoy: Envoy, driver: EnvoyDriver) -> None:
    sampler = Sampler()
    with envoy, an_origin("answers", envoy.control_port):
        sampler.sample(driver.read_counts(), 0.0, T0)
        envoy.send(5)
        assert [count.requests for count in sampler.sample(driver.read_counts(), 0.0, after(1))] == [5, 0]
        envoy.kill()
        envoy.start()
        envoy.send(2)
        assert sampler.sample(driver.read_counts(), 0.0, after(2)) == []
        envoy.send(3)
        assert [count.requests for count in sampler.sample(driver.read_counts(), 0.0, after(3))] == [3, 0]


def counters(requests: int, answered: int | None = None, **more: int) -> dict[Arm, ArmCounters]:
    one = {"failed": 0, "resets": 0, "timeouts": 0} | more
    made = ArmCounters(requests=requests, answered=requests if answered is None else answered, **one)
    return {Arm.CONTROL: made, Arm.TREATMENT: made}


def test_samples_say_which_share_each_arm_was_meant_to_get() -> None:
    sampler = Sampler()
    sampler.sample(counters(0), 0.1, T0)

    control, treatment = sampler.sample(counters(7), 0.1, after(1))

    assert (control.arm, control.share) == (Arm.CONTROL, 0.9)
    assert (treatment.arm, treatment.share) == (Arm.TREATMENT, 0.1)


def test_a_look_without_requests_yields_no_evidence() -> None:
    sampler = Sampler()
    sampler.sample(counters(7), 0.1, T0)

    assert sampler.sample(counters(7), 0.1, after(1)) == []


def test_a_count_that_wavers_is_not_counted_twice() -> None:
    """Counters are read while requests are under way: one may seem abandoned for a moment."""
    sampler = Sampler()
    sampler.sample(counters(10), 0.1, T0)

    added = [
        sampler.sample(found, 0.1, after(at))
        for at, found in enumerate(
            [counters(12, 11, failed=1, timeouts=1), counters(11, 11), counters(12, 12), counters(13, 13)], start=1
        )
    ]

    assert sum(count.requests for counts in added for count in counts) == 2 * 3


def test_resets_that_envoy_repeated_with_success_are_no_failures() -> None:
    sampler = Sampler()
    sampler.sample(counters(0), 0.1, T0)

    control, _ = sampler.sample(counters(10, resets=4, failed=1), 0.1, after(1))

    assert (control.errors_5xx, control.resets) == (1, 1)

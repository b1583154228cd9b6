"""Who wins when weights are moved, overridden and forgotten, with a real Envoy."""

import json
import os
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from tests.act.envoys import PREFIX, Envoy
from tests.act.origins import an_origin
from tests.waiting import PATIENT_S

from onejob.act.drivers import EnvoyDriver
from onejob.act.errors import DriverMisconfiguredError, DriverUnreachableError, PlanError


def test_traffic_is_split_as_told_and_the_share_is_read_back(envoy: Envoy, driver: EnvoyDriver) -> None:
    with envoy, an_origin("answers", envoy.control_port), an_origin("fails", envoy.treatment_port):
        assert driver.read_share() is None, "until told, Envoy goes by its own file"
        assert Counter(envoy.send(20)) == {200: 20}

        driver.set_share(0.5)

        assert driver.read_share() == 0.5
        codes = Counter(envoy.send(200))
        assert 60 <= codes[500] <= 140, "200 requests at 50 %: six standard deviations"


@pytest.mark.alone
def test_a_change_is_in_force_within_milliseconds(envoy: Envoy, driver: EnvoyDriver) -> None:
    with envoy:
        took = []
        for share in (0.1, 0.5, 1.0, 0.0, 0.125):
            began = time.monotonic()
            driver.set_share(share)
            took.append(time.monotonic() - began)
            assert driver.read_share() == share
        assert sorted(took)[2] < 0.2


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.333, 1.0])
def test_both_weights_are_set_as_integers_that_never_add_up_to_nothing(
    share: float, envoy: Envoy, driver: EnvoyDriver
) -> None:
    with envoy:
        driver.set_share(share)
        weights = [int(envoy.runtime()[f"{PREFIX}.{cluster}"]["final_value"]) for cluster in ("control", "treatment")]

    assert sum(weights) == 10_000


def test_a_killed_envoy_comes_back_with_its_weights(envoy: Envoy, driver: EnvoyDriver) -> None:
    with envoy:
        driver.set_share(0.5)
        envoy.kill()
        envoy.start()

        assert driver.read_share() == 0.5


def test_weights_told_to_an_envoy_that_is_away_are_in_force_when_it_comes_back(
    envoy: Envoy, driver: EnvoyDriver
) -> None:
    with envoy:
        driver.set_share(0.5)
        envoy.kill()
        with pytest.raises(DriverUnreachableError, match="start Envoy"):
            driver.set_share(0.0)
        envoy.start()

        assert driver.read_share() == 0.0


def test_an_override_somebody_left_is_taken_away(
    envoy: Envoy, driver: EnvoyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with envoy:
        with monkeypatch.context() as patch:
            patch.setattr("onejob.act.drivers.envoy._PATIENCE_S", PATIENT_S)  # for Envoy to see the directory change
            driver.set_share(0.1)
        envoy.override(control="0", treatment="100")
        assert driver.read_share() == 1.0

        driver.set_share(0.1)

        assert driver.read_share() == 0.1
        layers = envoy.runtime()[f"{PREFIX}.treatment"]["layer_values"]
        assert layers == ["1000", ""], "nothing is left in the admin layer that would hide the next change"


def test_a_directory_that_envoy_does_not_see_changing_is_got_round(envoy: Envoy, tmp_path: Path) -> None:
    elsewhere = tmp_path / "not-mounted"
    elsewhere.mkdir()
    driver = EnvoyDriver({**envoy.settings, "runtime_dir": str(elsewhere)})
    with envoy:
        for share in (0.1, 0.5, 0.0):
            driver.set_share(share)
            assert driver.read_share() == share
    driver.close()


def test_without_a_directory_the_admin_interface_alone_moves_traffic(envoy: Envoy) -> None:
    settings = {name: value for name, value in envoy.settings.items() if name != "runtime_dir"}
    driver = EnvoyDriver(settings)
    with envoy:
        driver.set_share(0.5)
        assert driver.read_share() == 0.5
    driver.close()


def test_without_an_admin_layer_the_directory_alone_moves_traffic(envoy: Envoy, driver: EnvoyDriver) -> None:
    envoy.config["layered_runtime"]["layers"].pop()
    with envoy:
        driver.set_share(0.5)
        assert driver.read_share() == 0.5


def test_with_neither_layer_the_error_says_what_envoy_lacks(envoy: Envoy, driver: EnvoyDriver) -> None:
    envoy.config["layered_runtime"]["layers"] = [{"name": "mine", "static_layer": {}}]
    with envoy, pytest.raises(DriverMisconfiguredError, match="admin_layer"):
        driver.set_share(0.5)


def test_a_layer_that_overrides_everything_is_told(envoy: Envoy, driver: EnvoyDriver) -> None:
    last = {"name": "last", "static_layer": {PREFIX: {"control": 1, "treatment": 1}}}
    envoy.config["layered_runtime"]["layers"].append(last)
    with envoy, pytest.raises(DriverMisconfiguredError, match="after the admin_layer"):
        driver.set_share(0.1)


def test_a_directory_that_cannot_be_written_does_not_keep_traffic_on_a_bad_version(
    envoy: Envoy, driver: EnvoyDriver, tmp_path: Path
) -> None:
    with envoy:
        driver.set_share(0.5)
        moved_away = tmp_path / "gone"
        os.rename(envoy.runtime_dir, moved_away)  # as root, taking away permissions would change nothing

        with pytest.raises(DriverMisconfiguredError, match="The traffic has moved, but a restarted Envoy would forget"):
            driver.set_share(0.0)
        assert driver.read_share() == 0.0

        os.rename(moved_away, envoy.runtime_dir)
        driver.set_share(0.0)
        envoy.kill()
        envoy.start()
        assert driver.read_share() == 0.0


def test_two_services_behind_one_envoy_keep_each_others_weights(envoy: Envoy, driver: EnvoyDriver) -> None:
    other = EnvoyDriver({**envoy.settings, "runtime_key_prefix": "split.payments"})
    with envoy:
        for share in (0.1, 0.2, 0.3):
            driver.set_share(share)
            other.set_share(share / 2)
        assert (driver.read_share(), other.read_share()) == (0.3, 0.15)
    assert len(list(envoy.runtime_dir.glob("weights-*"))) == 2, "older trees are removed"
    other.close()


def test_a_weight_that_is_no_number_is_not_mistaken_for_a_share(envoy: Envoy, driver: EnvoyDriver) -> None:
    with envoy:
        driver.set_share(0.1)
        envoy.override(treatment="a lot")
        assert driver.read_share() is None
        driver.set_share(0.1)
        assert driver.read_share() == 0.1


def test_a_router_that_cannot_do_it_is_found_out_before_anything_moves(envoy: Envoy, driver: EnvoyDriver) -> None:
    with envoy:
        driver.check()
        for setting, message in (
            ("treatment_cluster", "has no cluster 'other'"),
            ("runtime_key_prefix", "No route"),
        ):
            wrong = EnvoyDriver({**envoy.settings, setting: "other"})
            with pytest.raises(DriverMisconfiguredError, match=message):
                wrong.check()
            wrong.close()


def test_a_cluster_that_is_not_in_the_route_is_found_out(envoy: Envoy, driver: EnvoyDriver) -> None:
    """Its weight would be set and read by nobody, and a rollout that moves nothing would look like one that does."""
    envoy.route["weighted_clusters"]["clusters"].pop()
    told = "splits its traffic between control, not between control and treatment"
    with envoy, pytest.raises(DriverMisconfiguredError, match=told):
        driver.check()


@pytest.mark.parametrize(
    "behaviour",
    ["answers", "fails", "never ends", "breaks its gzip", "answers a list", "answers other things"],
)
def test_something_else_on_the_admin_port_is_told(behaviour: str, envoy: Envoy, driver: EnvoyDriver) -> None:
    with an_origin(behaviour, envoy.admin_port):
        for ask in (driver.read_share, driver.read_counts, driver.check):
            with pytest.raises(DriverMisconfiguredError, match=r"is not Envoy's admin interface \(.+\): correct"):
                ask()
            if behaviour == "never ends":
                break


def test_numbers_that_cannot_be_end_no_look_halfway(envoy: Envoy, driver: EnvoyDriver) -> None:
    with an_origin("answers impossible numbers", envoy.admin_port):
        assert driver.read_share() is None
        with pytest.raises(DriverMisconfiguredError, match="a count that cannot be"):
            driver.read_counts()


@pytest.mark.alone
def test_an_admin_interface_that_hangs_is_given_up_within_seconds(envoy: Envoy) -> None:
    with an_origin("hangs", envoy.admin_port), closing(EnvoyDriver(envoy.settings)) as driver:
        began = time.monotonic()
        with pytest.raises(DriverUnreachableError):
            driver.read_share()
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"admin_url": "127.0.0.1:9901"}, "admin_url must look like"),
        ({"admin_url": "http://host:port"}, "admin_url must look like"),
        ({"admin_url": ""}, "Missing: admin_url"),
        ({"admin_url": "http://exa mple:9901"}, "admin_url must look like"),
        ({"admin_url": "http://a\x00b"}, "admin_url must look like"),
        ({"admin_url": "http://" + "a" * 64 + ".example"}, "admin_url must look like"),
        ({"admin_url": "http://.:9901"}, "admin_url must look like"),
        ({"admin_url": "http://me:secret@127.0.0.1:9901"}, "without a password"),
        ({"admin_url": "http://127.0.0.1:9901/?a=b"}, "admin_url must look like"),
        ({"runtime_dir": "relative"}, "absolute path"),
        ({"runtime_dir": "/does/not/exist"}, "existing folder"),
        ({"runtime_dir": "/etc"}, "holds other things too"),
        ({"runtime_dir": "/a\x00b"}, "existing folder|cannot be read"),
        ({"runtime_key_prefix": "a" * 201}, "at most 200"),
        ({"runtime_key_prefix": "../etc"}, "runtime_key_prefix must be"),
        ({"control_cluster": "a/b"}, "control_cluster must be"),
        ({"control_cluster": "treatment"}, "two clusters"),
        ({"colour": "blue"}, "Unknown: colour"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, str], message: str, envoy: Envoy) -> None:
    with pytest.raises(PlanError, match=message):
        EnvoyDriver({**envoy.settings, **wrong})


def test_a_folder_that_is_not_ours_is_left_alone(envoy: Envoy, driver: EnvoyDriver) -> None:
    (envoy.runtime_dir / "current").mkdir()
    envoy.config["layered_runtime"]["layers"].pop(0)
    with envoy, pytest.raises(DriverMisconfiguredError, match="is not a symbolic link"):
        driver.set_share(0.5)
    assert (envoy.runtime_dir / "current").is_dir()


def test_the_configuration_in_the_guide_works_as_it_stands(envoy: Envoy) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to-envoy.md").read_text()
    config = guide.split("```yaml\n")[1].split("```")[0]
    settings = json.loads(guide.split("-d '")[1].split("'\n")[0])["settings"]
    ours = {
        "/var/lib/onejob/envoy": str(envoy.runtime_dir),
        "9901": str(envoy.admin_port),
        "8080": str(envoy.port),
        "8081": str(envoy.control_port),
        "8082": str(envoy.treatment_port),
    }
    for theirs, our in ours.items():
        config = config.replace(theirs, our)
        settings = {name: value.replace(theirs, our) for name, value in settings.items()}

    driver = EnvoyDriver(settings)
    with envoy.start_with(config), an_origin("fails", envoy.treatment_port):
        driver.check()
        driver.set_share(1.0)
        assert envoy.send(3) == [500, 500, 500]
    driver.close()

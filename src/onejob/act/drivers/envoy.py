"""The Envoy driver: weights of two clusters in one route, and what became of the requests of each.

What Envoy needs (`envoy_config.py` renders it, docs/how-to-envoy.md explains it): a route with `weighted_clusters`
and a `runtime_key_prefix`; in `layered_runtime` a `disk_layer` on our runtime directory, then an `admin_layer`.

**Weights.** The directory is the truth: swapping its link is enough, Envoy notices by itself and loads it again after a
kill -9, in whatever order Envoy and onejob die. The admin layer overrides the disk for as long as that Envoy lives, so
we leave nothing there: it is used to take away an override somebody left, and as a way round where the swap goes
unnoticed (a directory mounted from another machine) or there is no directory; then a restarted Envoy goes by its own
file until the controller, a second later, puts the share back. Both weights are always set, as integers out of 10,000,
in one swap or one request: they are relative, a sum of 0 fails requests, and a value that is no number silently means
the file's. What is in force is read back before `set_share` returns.

**Counts.** Measured with Envoy 1.40, five requests each (`cluster.<name>.` left out; tests/act repeats it):

    the new version...            client    moves by 5
    answers 500                   500       upstream_rq_completed, _5xx, _total
    closes or resets              503       upstream_rq_completed, _5xx, _total, cx_destroy_remote_with_active_rq
    never answers                 504       upstream_rq_completed, _5xx, _total, _timeout
    never answers, client leaves  none      upstream_rq_total alone
    does not listen               503       upstream_rq_completed, _5xx, _pending_failure_eject, cx_connect_fail
    has no healthy endpoint       503       upstream_rq_completed, _5xx, cx_none_healthy
    is over a circuit breaker     503       upstream_rq_completed, _5xx, _pending_overflow
    breaks off inside a body      200       upstream_rq_completed, _2xx, _total, cx_destroy_remote_with_active_rq

`upstream_rq_completed` and `upstream_rq_5xx` move once per request as the client sees it, however often Envoy retried
(attempts that were retried are under `retry.`), so these two are the requests and the failures. A client that left
before any answer is in neither: it is what was sent or refused, less retries, answers and what is still under way.
Such a request counts as failed by timeout. An answer that breaks off inside its body counts as answered: nothing in
Envoy's counters tells it from one that failed before its headers; the callers' spans show it.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path

from onejob.act.drivers import runtime_directory
from onejob.act.drivers.base import ArmCounters
from onejob.act.drivers.envoy_admin import EnvoyAdmin
from onejob.act.drivers.envoy_config import weighted_clusters
from onejob.act.drivers.envoy_settings import check_settings
from onejob.act.errors import DriverMisconfiguredError, NoSplitError
from onejob.model.evidence import Arm

_TOTAL_WEIGHT = 10_000
# inotify is in force within 3 ms; the rest is for a machine that is busy.
_PATIENCE_S = 0.5
_PAUSE_S = 0.005
_WEIGHT = re.compile(r"[0-9]{1,10}")  # what Envoy takes for a number; others would break `int`
_STATS = (
    "upstream_rq_completed",
    "upstream_rq_5xx",
    "upstream_rq_total",
    "upstream_rq_active",
    "upstream_rq_timeout",
    "upstream_rq_retry",
    "upstream_rq_rx_reset",
    "upstream_rq_pending_failure_eject",
    "upstream_rq_pending_overflow",
    "upstream_cx_none_healthy",
    "upstream_cx_destroy_remote_with_active_rq",
)


class EnvoyDriver:
    """A TrafficDriver. Settings: see `envoy_settings.py`; all but `runtime_dir` are required."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        check_settings(settings)
        self._admin = EnvoyAdmin(settings["admin_url"])
        folder = settings.get("runtime_dir")
        self._folder = Path(folder) if folder else None
        self._clusters = {Arm.CONTROL: settings["control_cluster"], Arm.TREATMENT: settings["treatment_cluster"]}
        self._prefix = settings["runtime_key_prefix"]
        self._keys = tuple(f"{self._prefix}.{cluster}" for cluster in self._clusters.values())

    def check(self) -> None:
        """Does Envoy know the clusters, and does a route read the runtime keys?"""
        counters = self._read_stats()
        for cluster in self._clusters.values():
            if f"cluster.{_in_stats(cluster)}.upstream_rq_total" not in counters:
                raise DriverMisconfiguredError(
                    f"Envoy at {self._admin.url} has no cluster {cluster!r}: correct the rollout's control_cluster and "
                    "treatment_cluster, or Envoy's configuration."
                )
        splits = weighted_clusters(self._admin.config(), self._prefix)
        if not splits:
            raise NoSplitError(
                f"No route of Envoy at {self._admin.url} has weighted_clusters with runtime_key_prefix "
                f"{self._prefix!r}: add it to the route that is to be split."
            )
        wanted = set(self._clusters.values())
        if not any(wanted <= names for names in splits):
            raise NoSplitError(
                f"The route of Envoy at {self._admin.url} with runtime_key_prefix {self._prefix!r} splits its traffic "
                f"between {', '.join(sorted(splits[0]))}, not between {' and '.join(sorted(wanted))}: correct the "
                "rollout's control_cluster and treatment_cluster, or the route."
            )

    def set_share(self, share: float) -> None:
        """Write the directory, see it in force; go through the admin layer only where that is not enough."""
        wanted = _weights(share)
        problem = self._write(wanted)
        is_written = self._folder is not None and problem is None
        if not (is_written and self._is_soon_in_force(wanted)) and not self._override(wanted):
            raise DriverMisconfiguredError(
                f"Envoy at {self._admin.url} does not take over {self._keys[1]}={wanted[1]}: a runtime layer after the "
                "admin_layer overrides it."
            )
        if problem is not None:
            raise DriverMisconfiguredError(
                f"The traffic has moved, but a restarted Envoy would forget it, because {self._folder} cannot be "
                f"written ({problem}): make it a folder that onejob may write and Envoy may read."
            )

    def read_share(self) -> float | None:
        """The share in force; None while a weight is not in Envoy's runtime, or is no number."""
        values = self._in_force()
        if values is None or not all(map(_WEIGHT.fullmatch, values)):
            return None
        control, treatment = map(int, values)
        return treatment / (control + treatment) if control + treatment else None

    def read_counts(self) -> Mapping[Arm, ArmCounters]:
        """What became of the requests of each cluster since Envoy's start."""
        counters = self._read_stats()
        return {arm: _arm_counters(counters, _in_stats(name)) for arm, name in self._clusters.items()}

    def close(self) -> None:
        """Close the connection to Envoy."""
        self._admin.close()

    def _read_stats(self) -> dict[str, int]:
        clusters = "|".join(re.escape(_in_stats(name)) for name in self._clusters.values())
        return self._admin.counters(rf"^cluster\.({clusters})\.({'|'.join(_STATS)})$")

    def _write(self, wanted: tuple[str, str]) -> OSError | None:
        """A full disk must not keep traffic on a bad version: the problem is returned, and Envoy told all the same."""
        if self._folder is None:
            return None
        try:
            if runtime_directory.read_values(self._folder, self._keys) != wanted:
                runtime_directory.write_values(self._folder, dict(zip(self._keys, wanted, strict=True)))
        except OSError as error:
            return error
        return None

    def _override(self, wanted: tuple[str, str]) -> bool:
        runtime = self._admin.runtime(self._keys)
        layers = list(zip(*(runtime.get(key, ("",))[:-1] for key in self._keys), strict=False))
        if wanted in layers:  # the directory is loaded, but a later layer says otherwise
            self._admin.modify_runtime(dict.fromkeys(self._keys, ""))
            if self._in_force() == wanted:
                return True
        self._admin.modify_runtime(dict(zip(self._keys, wanted, strict=True)))
        return self._in_force() == wanted

    def _is_soon_in_force(self, wanted: tuple[str, str]) -> bool:
        deadline = time.monotonic() + _PATIENCE_S
        while self._in_force() != wanted:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _in_force(self) -> tuple[str, ...] | None:
        runtime = self._admin.runtime(self._keys)
        return tuple(runtime[key][-1].strip() for key in self._keys) if len(runtime) == len(self._keys) else None


def _weights(share: float) -> tuple[str, str]:
    treatment = round(share * _TOTAL_WEIGHT)
    return str(_TOTAL_WEIGHT - treatment), str(treatment)


def _arm_counters(counters: Mapping[str, int], cluster: str) -> ArmCounters:
    def count(name: str) -> int:
        return counters.get(f"cluster.{cluster}.{name}", 0)

    completed, failed = count("upstream_rq_completed"), count("upstream_rq_5xx")
    refused = sum(
        map(count, ("upstream_rq_pending_failure_eject", "upstream_rq_pending_overflow", "upstream_cx_none_healthy"))
    )
    begun = count("upstream_rq_total") + refused - count("upstream_rq_retry")
    abandoned = max(0, begun - completed - count("upstream_rq_active"))
    # HTTP/1 shows a lost request as its connection's end, HTTP/2 as the stream's reset.
    lost = refused + count("upstream_cx_destroy_remote_with_active_rq") + count("upstream_rq_rx_reset")
    return ArmCounters(
        requests=completed + abandoned,
        answered=completed,
        failed=failed + abandoned,
        resets=lost,
        timeouts=count("upstream_rq_timeout") + abandoned,
    )


def _in_stats(cluster: str) -> str:
    """Envoy writes a colon in a cluster's name as an underscore in its stats."""
    return cluster.replace(":", "_")

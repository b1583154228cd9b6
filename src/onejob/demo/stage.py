"""The whole shop as one thing: database, Envoy, storefront, payments, customers, and checkout's two slots."""

from dataclasses import dataclass
from pathlib import Path

from onejob.demo import envoy, postgres
from onejob.demo.envoy import Admin, Ports, Slot
from onejob.demo.processes import Child, Processes, python_module, wait_until_healthy
from onejob.demo.shop.variant import Variant
from onejob.demo.truth import SERVICE
from onejob.demo.warm_up import warm_up

ENVIRONMENT = "production"
NEIGHBOURS_VERSION = "2026.11"


@dataclass(slots=True)
class Occupant:
    """The version that lives in a slot."""

    version: str
    variant: Variant
    child: Child
    restarts: int = 0


class Stage:
    """`telemetry` is the OTLP/gRPC endpoint that the shop sends its spans to."""

    def __init__(self, folder: Path, processes: Processes, telemetry: str) -> None:
        self._folder = folder
        self._processes = processes
        self._telemetry = telemetry
        self._occupants: dict[Slot, Occupant] = {}
        self._cluster: postgres.Cluster | None = None
        self.ports = Ports.free()
        self.admin = Admin(self.ports.admin)
        self.active = Slot.A

    @property
    def spare(self) -> Slot:
        return self.active.other

    def open(self, version: str) -> None:
        """Start everything but the customers, with `version` of checkout in the first slot."""
        self._start_envoy()
        self._start_database()
        neighbours = [
            (self._start_service("payments", self.ports.payments), self.ports.payments),
            (self._start_service("storefront", self.ports.storefront, self.ports.checkout), self.ports.storefront),
        ]
        self.settle(version, Variant(), self.active)
        for child, port in neighbours:
            wait_until_healthy(child, _health(port))

    def let_customers_in(self) -> Child:
        return self._processes.start("customers", python_module("onejob.demo.load", "--port", str(self.ports.edge)))

    def settle(self, version: str, variant: Variant, slot: Slot) -> None:
        """Start a version in a slot and warm it up; no customer reaches it before traffic is sent there."""
        child = self._start_checkout(version, variant, slot)
        self._occupants[slot] = Occupant(version, variant, child)
        wait_until_healthy(child, _health(self.ports.of_slot(slot)))
        warm_up(f"http://127.0.0.1:{self.ports.of_slot(slot)}")

    def clear(self, slot: Slot) -> None:
        self._processes.stop(self._occupants.pop(slot).child)

    def promote(self) -> None:
        """The spare slot's version has all the traffic: it is the active one now, and the old one ends."""
        self.active = self.spare
        self.clear(self.spare)

    def driver_settings(self) -> dict[str, str]:
        return envoy.driver_settings(self._folder, self.ports, self.active)

    def tend(self) -> None:
        """Restart what is meant to break, as any supervisor would; anything else that ended is an error."""
        for slot, occupant in self._occupants.items():
            if occupant.variant.breakdown and not occupant.child.is_alive():
                self._processes.stop(occupant.child)
                occupant.child = self._start_checkout(occupant.version, occupant.variant, slot)
                occupant.restarts += 1
        self._processes.require_all_alive()

    def _start_envoy(self) -> None:
        config = envoy.write_config(self._folder, self.ports, self.active)
        child = self._processes.start("envoy", envoy.command(config))
        wait_until_healthy(child, f"{self.admin.url}/ready")

    def _start_database(self) -> None:
        self._cluster = postgres.prepare(self._folder / "sql")
        child = self._processes.start("postgresql", self._cluster.command(), user=self._cluster.owner)
        postgres.wait_until_up(self._cluster, child.is_alive)

    def _start_checkout(self, version: str, variant: Variant, slot: Slot) -> Child:
        return self._start_service(
            SERVICE, self.ports.of_slot(slot), self.ports.payments, version=version, extra=variant.to_environment()
        )

    def _start_service(
        self,
        name: str,
        port: int,
        upstream: int | None = None,
        *,
        version: str = NEIGHBOURS_VERSION,
        extra: dict[str, str] | None = None,
    ) -> Child:
        assert self._cluster is not None  # noqa: S101 - the database is started first
        arguments = [name, "--port", str(port), "--database", self._cluster.uri]
        if upstream is not None:
            arguments += ["--upstream", f"http://127.0.0.1:{upstream}"]
        command = python_module("onejob.demo.shop", *arguments)
        return self._processes.start(f"{name}-{version}", command, self._environment(name, version) | (extra or {}))

    def _environment(self, name: str, version: str) -> dict[str, str]:
        return {
            "OTEL_SERVICE_NAME": name,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.version={version},deployment.environment.name={ENVIRONMENT}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._telemetry,
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
        }


def _health(port: int) -> str:
    return f"http://127.0.0.1:{port}/healthz"

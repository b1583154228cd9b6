"""Spans of versions that served side by side, twenty minutes ago."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from onejob.store.engine import Engine
from otlp_builders import a_payload, a_service, a_span

BEGAN = (int(time.time()) // 60 - 20) * 60


def at(t: float) -> datetime:
    return datetime.fromtimestamp(BEGAN + t, UTC)


@dataclass(frozen=True)
class Arm:
    """A version on some instances from one second to another, ten requests a second each."""

    version: str
    seconds: tuple[int, int]
    instances: int = 1
    failing: float = 0.0
    slower: float = 1.0
    build: str = ""


def store(engine: Engine, *arms: Arm, service: str = "", seed: int = 1) -> str:
    """A service's spans; returns its name."""
    service, rng = service or a_service(), np.random.default_rng(seed)
    for arm in arms:
        for instance in range(arm.instances):
            spans = [
                a_span(
                    start_ns=(BEGAN + t) * 10**9 + i * 10**8,
                    duration_s=float(arm.slower * 0.03 * np.exp(rng.normal(0, 0.3))),
                    error=bool(rng.random() < arm.failing),
                    http__request__method="GET",
                    http__route=f"/{'abc'[int(rng.integers(3))]}",
                )
                for t in range(*arm.seconds)
                for i in range(10)
            ]
            resource = {"service.version": arm.version, "service.instance.id": f"{arm.version}{arm.build}-{instance}"}
            if arm.build:
                resource["container.image.repo_digests"] = f"shop@sha256:{arm.build * 12}"
            token = f"{service}-{arm.version}-{arm.build}-{instance}-{arm.seconds}"
            engine.insert_traces(a_payload(*spans, service=service, resource=resource), token)
    return service

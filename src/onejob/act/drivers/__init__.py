"""Drivers: who moves the traffic.

In: a plan's settings. Out: a TrafficDriver. Never: a decision about whether to move it.
"""

from collections.abc import Callable, Mapping

from onejob.act.drivers.base import ArmCounters, TrafficDriver
from onejob.act.drivers.envoy import EnvoyDriver

DriverFactory = Callable[[Mapping[str, str]], TrafficDriver]

DRIVERS: Mapping[str, DriverFactory] = {"envoy": EnvoyDriver}

__all__ = ["DRIVERS", "ArmCounters", "DriverFactory", "EnvoyDriver", "TrafficDriver"]

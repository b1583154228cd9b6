"""`onejob calibrate`: how often would this service have had a false alarm?"""

import time
from typing import Annotated

import typer

from onejob import words
from onejob.cli.backtest import telling
from onejob.cli.client import Api, Document
from onejob.cli.errors import RefusedError
from onejob.cli.options import DEFAULT_URL, Environment, Json, Url
from onejob.cli.output import clean, note, print_fields, print_json

_POLL_S = 0.5


def calibrate(
    service: Annotated[str, typer.Argument(help="As service.name in its telemetry.")],
    environment: Environment = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Measure a service's false alarms.

    Tries deployments of nothing on its last 30 days, at random moments: some instances of a version against the
    others. The share that alarms is the false-alarm rate this service would have had. The judge becomes more careful
    until it is at most the target, and verdicts from then on show the rate.
    """
    api = Api(url)
    job = api.post("api/v1/calibrations", {"service": service, **({"environment": environment} if environment else {})})
    with telling() as tell:
        while job["state"] == "running":
            tell(job)
            time.sleep(_POLL_S)
            job = api.get(f"api/v1/replays/{job['id']}")
    if job["state"] != "done":
        raise RefusedError(f"The calibration ended early: {job['error']}")
    found = api.get("api/v1/calibrations", service=service, environment=environment)["items"]
    if as_json:
        print_json(found)
        return
    for one in found:
        print_calibration(one)


def print_calibration(found: Document) -> None:
    """The rate, what it took, and what was learnt of noise."""
    alarms = found["false_alarms"]
    rate = None
    if alarms:
        rate = (
            f"{alarms['rate']:.1%} ({alarms['low']:.1%} to {alarms['high']:.1%}): {alarms['alarms']} of "
            f"{alarms['placebos']} placebo deployments of {words.elapsed(found['placebo_s'])} alarmed"
        )
    print_fields(
        [
            ("service", f"{found['service']} in {found['environment']}"),
            ("false alarms", rate),
            ("target", f"{found['target']:.1%}"),
            ("factor on noise", f"x{found['phi_factor']:g}" if alarms else None),
            *((f"noise of {past['signal']}", _noise(past)) for past in found["history"] if past["blocks"]),
        ]
    )
    if found["note"]:
        note(clean(found["note"]))


def _noise(past: Document) -> str:
    told = f"a request counts as {1 / max(1.0, past['phi'] or 1.0):.2f} of an independent one"
    if past["s_b"] is not None:
        told += f"; instances differ by {past['s_b']:.2f} in log odds"
    return told

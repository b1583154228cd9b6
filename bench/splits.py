"""How often does the judge blame a difference that is none? Random splits of recorded traffic.

The demo's shop serves its customers with one version for a while, and its spans are recorded. Then its requests are
dealt to two arms at random, 10 % for 20 s, then 50 %, and judged second by second, many times over. Every `worse` is a
false alarm. The table gives the rate with its exact (Clopper-Pearson) upper 95 % bound beside the limit.

    python bench/splits.py [--splits 1000] [--seconds 110] [--json bench/results/splits.json]
"""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import beta

from onejob.config import Settings
from onejob.demo.keeper import Keeper
from onejob.demo.performance import demo_folder
from onejob.demo.processes import Processes, free_ports
from onejob.demo.stage import Stage
from onejob.ingest.service import Intake
from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.evidence import Cell, EvidenceBatch, JudgeSettings
from onejob.model.verdict import State
from onejob.store.engine import Engine, open_engine
from onejob.verdict.judge import Judge

LIMIT = 0.01
BASELINE_S, FIRST_STEP_S = 20, 20
VERSIONS = ("control", "treatment")
REQUESTS = """
SELECT Operation, toInt64(intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, 1000000000)) AS Second,
    toInt64(ceil(log2(greatest(Duration, 1) / 1e9) * 32) - 1) AS Bucket, toInt64(IsFailed) AS Failed
FROM otel_traces
WHERE ServiceName = 'checkout' AND IsEntry
ORDER BY Second
"""


def record(seconds: float) -> tuple[np.ndarray, ...]:
    """(operation, second, bucket, failed) of every request that checkout served."""
    folder = demo_folder()
    keeper = Keeper(folder)
    processes = Processes(folder / "logs", keeper)
    grpc, http = free_ports(2)
    settings = Settings(data_dir=folder / "onejob", otlp_grpc_port=grpc, otlp_http_port=http, bin_width_s=1)
    engine = open_engine(settings)
    intake = Intake(settings, engine)
    intake.start()
    try:
        stage = Stage(folder, processes, f"http://127.0.0.1:{grpc}")
        stage.open("v1")
        stage.let_customers_in()
        time.sleep(seconds)
        processes.stop_all()
        return read(engine, intake)
    finally:
        processes.stop_all()
        intake.stop()
        engine.close()
        keeper.clean_up()


def read(engine: Engine, intake: Intake) -> tuple[np.ndarray, ...]:
    while intake.stats().spooled_requests:
        time.sleep(0.2)
    table = engine.query(REQUESTS)
    return tuple(np.array(table.column(name).to_pylist()) for name in ("Operation", "Second", "Bucket", "Failed"))


def split(requests: tuple[np.ndarray, ...], seed: int) -> State:
    """The verdict on arms that differ by nothing but chance."""
    rng = np.random.default_rng(seed)
    operation, second, bucket, failed = requests
    began = int(second.min()) + BASELINE_S
    share = np.where(second < began, 0.0, np.where(second < began + FIRST_STEP_S, 0.1, 0.5))
    arm = (rng.random(len(second)) < share).astype(int)
    judge = Judge(a_deployment(began))
    state = State.UNDECIDED
    edges = np.searchsorted(second, np.arange(second.min(), second.max() + 2))
    for seq, (start, stop) in enumerate(pairwise(edges)):
        at = int(second.min()) + seq
        rows = slice(start, stop)
        cells = cells_of(at, operation[rows], arm[rows], bucket[rows], failed[rows])
        state = judge.consume(a_batch(seq, at, cells)).state
        if state is State.WORSE:
            break
    return state


def cells_of(
    at: int, operation: np.ndarray, arm: np.ndarray, bucket: np.ndarray, failed: np.ndarray
) -> tuple[Cell, ...]:
    cells = []
    for name in np.unique(operation):
        for side in (0, 1):
            mine = (operation == name) & (arm == side)
            if mine.any():
                index, number = np.unique(bucket[mine], return_counts=True)
                cells.append(
                    Cell(
                        operation=str(name),
                        version=VERSIONS[side],
                        instance=VERSIONS[side],
                        bin_start=at,
                        count=int(mine.sum()),
                        errors=int(failed[mine].sum()),
                        buckets=dict(zip(index.tolist(), number.tolist(), strict=True)),
                    )
                )
    return tuple(cells)


def a_batch(seq: int, at: int, cells: tuple[Cell, ...]) -> EvidenceBatch:
    return EvidenceBatch(
        deployment_id="split",
        seq=seq,
        judged_at=datetime.fromtimestamp(at + 4, UTC),
        bins_from=at,
        bins_to=at + 1,
        bin_width_s=1,
        cells=cells,
        warmed=VERSIONS,
        settings=JudgeSettings() if seq == 0 else None,
    )


def a_deployment(began: int) -> Deployment:
    return Deployment(
        id="split",
        service="checkout",
        environment="production",
        version=VERSIONS[1],
        previous_version=VERSIONS[0],
        strategy=Strategy.CANARY,
        source=Source.REPORTED,
        status=Status.IN_PROGRESS,
        started_at=datetime.fromtimestamp(began, UTC),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=110)
    parser.add_argument("--json", type=Path, default=Path("bench/results/splits.json"))
    chosen = parser.parse_args()
    console = Console()
    console.print("Recording traffic ...")
    requests = record(chosen.seconds)
    console.print(f"{len(requests[0])} requests of {len(np.unique(requests[0]))} operations")
    with get_context("spawn").Pool() as pool:
        judged = pool.imap(partial(split, requests), range(chosen.splits), chunksize=4)
        states = list(track(judged, total=chosen.splits, console=console))
    worse = states.count(State.WORSE)
    upper = float(beta.ppf(0.95, worse + 1, chosen.splits - worse)) if worse < chosen.splits else 1.0
    table = Table("splits", "worse", "better", "rate", "upper 95 %", "limit")
    better = states.count(State.BETTER)
    row = (len(states), worse, better, f"{worse / len(states):.2%}", f"{upper:.2%}", f"{LIMIT:.0%}")
    table.add_row(*map(str, row))
    console.print(table)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"splits": len(states), "requests": len(requests[0]), "worse": worse, "better": better, "upper_95": upper}
    chosen.json.write_text(json.dumps({**result, "limit": LIMIT}, indent=1) + "\n")
    return 0 if upper <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())

"""Which services a deployment cannot have hurt, and what is counted of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onejob.model.evidence import ControlService
from onejob.store.rollup import VersionSeen
from onejob.verdict.untouched import Untouched, kin, steady, tally
from verdict.traffic import a_cell

# A page calls cart and search; cart calls stock, search calls the index; a job of its own calls nobody.
EDGES = [("", "page"), ("page", "cart"), ("page", "search"), ("cart", "stock"), ("search", "index"), ("", "job")]


def seen(service: str, version: str = "1", count: int = 500, build: str = "") -> VersionSeen:
    return VersionSeen(
        service=service,
        environment="production",
        version=version,
        build=build,
        version_source="service.version",
        first_bin=0,
        last_bin=60,
        bins=2,
        count=count,
        instances=("i-1",),
    )


def test_who_is_called_by_the_same_caller_is_no_kin() -> None:
    assert kin(EDGES, "cart") == {"page", "stock"}
    assert kin(EDGES, "page") == {"cart", "search", "stock", "index"}
    assert kin(EDGES, "index") == {"search", "page"}
    assert kin(EDGES, "job") == set()


def test_without_traces_nobody_is_known_to_be_untouched() -> None:
    assert kin([], "cart") is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), min_size=1))
def test_kin_is_the_same_from_both_ends(edges: list[tuple[str, str]]) -> None:
    for one in "abcdef":
        for other in kin(edges, one) or set():
            assert one in (kin(edges, other) or set())


def test_services_of_one_version_are_steady_the_busiest_first() -> None:
    rows = [seen("quiet", count=50), seen("mail", count=300), seen("mail", count=300), seen("cart")]
    rows += [seen("new", "1"), seen("new", "2"), seen("built", build="a"), seen("built", build="b")]
    assert steady(rows) == [Untouched("mail", "1"), Untouched("cart", "1")]


def test_requests_are_counted_per_version_and_bin_and_durations_where_edges_are_known() -> None:
    known = ControlService(service="cart", version="1", edges={"GET /cart": (-160, -100)}, rates={})
    seconds = np.array([0.01, 0.05, 0.2, 0.2])  # indices -213, -139, -75
    failed = np.array([True, False, False, True])
    cells = [
        a_cell(seconds, failed, operation="GET /cart", instance="a", bin_start=60),
        a_cell(seconds, failed, operation="GET /cart", instance="b", bin_start=60),
        a_cell(seconds, failed, operation="other", bin_start=60, adjusted=40.0),
        a_cell(seconds, failed, operation="GET /cart", version="2", build="x", bin_start=120),
    ]
    one, other = tally(known, cells)
    assert (one.version, one.bin_start, other.version, other.bin_start) == ("1", 60, "2@x", 120)
    assert (one.requests, one.spans, one.failed) == (48.0, 12, 6)
    assert (one.timed, one.slower_p50, one.slower_p95) == (8, 6, 4)
    assert (other.spans, other.timed) == (4, 4)

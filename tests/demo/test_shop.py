"""The shop itself: real processes, a real database, a real Envoy, and customers."""

from collections import Counter, defaultdict
from statistics import median

import httpx
import pytest
from tests.demo.conftest import OpenShop, Span

from onejob.demo.shop.variant import Variant

pytestmark = [pytest.mark.alone, pytest.mark.slow]

PRICES = "SELECT product_id, price FROM prices WHERE product_id = ANY(%s)"


def served(spans: list[Span], service: str, version: str | None = None) -> list[Span]:
    """Requests of customers that a service answered."""
    return [
        span
        for span in spans
        if span.service == service and span.is_server and not span.is_synthetic and version in (None, span.version)
    ]


def test_customers_bring_the_promised_traffic_and_nothing_fails(shop: OpenShop) -> None:
    seconds = 6.0
    spans = shop.traffic_of(seconds)
    rates = Counter({name: n / seconds for name, n in Counter(s.name for s in served(spans, "checkout")).items()})
    assert len(served(spans, "storefront")) / seconds > 60
    assert len(served(spans, "payments")) / seconds > 25
    assert min(rates["GET /baskets/{basket_id}"], rates["POST /quotes"], rates["POST /orders"]) > 15
    assert not any(span.is_error for span in spans)


def test_requests_name_tenant_and_payment_method(shop: OpenShop) -> None:
    orders = [span for span in served(shop.traffic_of(2.0), "checkout") if span.name == "POST /orders"]
    assert {span.attributes["tenant.size"] for span in orders} == {"small", "medium", "large"}
    assert {span.attributes["payment.method"] for span in orders} == {"card", "invoice", "paypal", "sepa"}


def test_a_version_is_hurt_exactly_where_its_variant_says(shop: OpenShop) -> None:
    variant = Variant(
        rechecks_operation="POST /quotes",
        rechecks_size="large",
        long_references_for="sepa",
        knows_delivery_quota=True,
    )
    shop.stage.settle("v9", variant, shop.stage.spare)
    with shop.share(0.5):
        spans = shop.traffic_of(8.0)
    shop.stage.clear(shop.stage.spare)
    queries = Counter(span.trace_id for span in spans if span.attributes.get("db.query.text") == PRICES)
    hurt, unhurt = _split(served(spans, "checkout", "v9"))
    # A trace at the edge of what was received may be incomplete.
    assert Counter(queries[span.trace_id] for span in hurt).most_common(1)[0][0] == 41
    assert {queries[span.trace_id] for span in unhurt} <= {0, 1}
    assert median(s.seconds for s in hurt) - median(s.seconds for s in unhurt if s.name == "POST /quotes") > 0.04
    _assert_half_of_one_method_fails(spans)
    _assert_delivery_is_faster(spans)


def _split(spans: list[Span]) -> tuple[list[Span], list[Span]]:
    parts: dict[bool, list[Span]] = defaultdict(list)
    for span in spans:
        parts[(span.name, span.attributes["tenant.size"]) == ("POST /quotes", "large")].append(span)
    return parts[True], parts[False]


def _assert_half_of_one_method_fails(spans: list[Span]) -> None:
    charged = [span for span in served(spans, "checkout", "v9") if span.name == "POST /orders"]
    failed = [span for span in charged if span.is_error]
    assert {span.attributes["payment.method"] for span in failed} == {"sepa"}
    assert 0.2 < len(failed) / sum(span.attributes["payment.method"] == "sepa" for span in charged) < 0.8
    assert any(span.is_error for span in served(spans, "payments"))
    assert not any(span.is_error for span in served(spans, "checkout", "v1"))


def _assert_delivery_is_faster(spans: list[Span]) -> None:
    times = {
        version: median(s.seconds for s in served(spans, "checkout", version) if s.name == "GET /delivery-options")
        for version in ("v1", "v9")
    }
    assert times["v1"] - times["v9"] > 0.03


def test_warming_up_is_no_evidence(shop: OpenShop) -> None:
    shop.received.requests.clear()
    shop.stage.settle("v8", Variant(), shop.stage.spare)
    shop.stage.clear(shop.stage.spare)
    warm_up = [span for span in shop.received.spans() if span.version == "v8" and span.is_server]
    assert len(warm_up) > 50
    assert all(span.is_synthetic for span in warm_up)


def test_a_broken_version_fails_its_customers_and_no_others(shop: OpenShop) -> None:
    """One that exits; those that fall silent or hang are judged in `test_judged`."""
    shop.stage.settle("v7", Variant(breakdown="exits"), shop.stage.spare)
    with shop.share(1.0):
        failed = next((status for _ in range(30) if (status := _ask_for_a_basket(shop)) >= 500), None)
        shop.stage.tend()
    shop.stage.clear(shop.stage.spare)
    assert failed in {502, 503, 504}
    assert _ask_for_a_basket(shop) == 200


def _ask_for_a_basket(shop: OpenShop) -> int:
    url = f"http://127.0.0.1:{shop.stage.ports.checkout}/baskets/1"
    return httpx.get(url, headers={"x-tenant": "s-1"}, timeout=10.0).status_code

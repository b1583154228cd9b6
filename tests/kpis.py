"""KPIs as programs send them."""

QUEUE = {
    "name": "queue",
    "kind": "mean",
    "direction": "lower_is_better",
    "source": "metric",
    "metric": "queue.depth",
    "per_instance": True,
}

"""All metrics that there are. `/metrics` and `gridbot-supervisor metrics` show these and no others. Pure."""

from __future__ import annotations

from typing import Final

from supervisor.metrics.account_metrics import ACCOUNT_METRICS
from supervisor.metrics.fleet_metrics import FLEET_METRICS, UP
from supervisor.metrics.host_metrics import HOST_METRICS
from supervisor.metrics.metric_types import Kind, Metric
from supervisor.metrics.strategy_metrics import STRATEGY_METRICS

__all__ = ["CATALOGUE", "series_names"]

CATALOGUE: Final[tuple[Metric, ...]] = (
    UP,
    *FLEET_METRICS,
    *HOST_METRICS,
    *ACCOUNT_METRICS,
    *STRATEGY_METRICS,
)


def series_names(metric: Metric) -> list[str]:
    """The names by which a query asks for it."""
    ends = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
    return [metric.name + end for end in ends]

"""The text that Prometheus scrapes, from one status model. Pure: no file, no database, no process is asked.

    exposition(model) -> bytes      `CONTENT_TYPE` is what it is sent as

Counters of workers are those of all their processes since the start of the supervisor (`children/life_counts.py`), so
that none goes back when a worker is restarted. When the supervisor is, they begin at 0, which Prometheus understands.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from supervisor.metrics.fleet_metrics import UP
from supervisor.metrics.metric_catalogue import CATALOGUE
from supervisor.metrics.metric_types import Buckets, Json, Kind, Metric

__all__ = ["CONTENT_TYPE", "exposition", "families"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def exposition(model: Json | None) -> bytes:
    """The whole text; without a model it says that the supervisor does not answer."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OfModel(model))
    return generate_latest(registry)


def families(model: Json | None) -> Iterator[Family]:
    """Each metric of the catalogue with its samples; one without samples is there by name and help alone."""
    if model is None:
        down = GaugeMetricFamily(UP.name, UP.doc)
        down.add_metric((), 0.0)
        yield down
        return
    for metric in CATALOGUE:
        yield _family(metric, model)


class _OfModel(Collector):
    """The catalogue as the library asks for it."""

    def __init__(self, model: Json | None) -> None:
        self._model = model

    def describe(self) -> list[Family]:
        """No names in advance: this registry has nothing else that they could collide with."""
        return []

    def collect(self) -> Iterator[Family]:
        return families(self._model)


def _family(metric: Metric, model: Json) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        times = HistogramMetricFamily(metric.name, metric.doc, labels=metric.labels)
        for labels, value in metric.read(model):
            assert isinstance(value, Buckets)
            times.add_metric(labels, _cumulative(value), value.total)
        return times
    family: GaugeMetricFamily | CounterMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(metric.name, metric.doc, labels=metric.labels)
    else:
        family = GaugeMetricFamily(metric.name, metric.doc, labels=metric.labels)
    for labels, value in metric.read(model):
        assert not isinstance(value, Buckets)
        family.add_metric(labels, value)
    return family


def _cumulative(value: Buckets) -> list[tuple[str, float]]:
    """Upper ends as text, each with all that took no longer."""
    ends = [*map(floatToGoString, value.bounds), "+Inf"]
    return list(zip(ends, accumulate(value.counts), strict=True))

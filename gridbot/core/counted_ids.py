"""Ids of the executions that are counted, kept as long as those may be listed again. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["IDS_KEPT", "IDS_MOST", "CountedIds"]

IDS_KEPT = 5_000
IDS_MOST = 100_000


@dataclass(slots=True)
class CountedIds:
    """The newest `IDS_KEPT`, and those that may be paged again, however many come meanwhile (up to `IDS_MOST`)."""

    _times: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def __contains__(self, exec_id: str) -> bool:
        return exec_id in self._times

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Ids with their exchange times (ms), in the order of counting."""
        return iter(self._times.items())

    def add(self, exec_id: str, exchange_ts: int, *, paged_from: int = 0) -> None:
        """Keep an id; those made before `paged_from` (ms) are not listed again, so there may be fewer of them."""
        times = self._times
        times[exec_id] = exchange_ts
        while len(times) > IDS_KEPT:
            oldest = next(iter(times))
            if times[oldest] >= paged_from and len(times) <= IDS_MOST:
                break
            del times[oldest]

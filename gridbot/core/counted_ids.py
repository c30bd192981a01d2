"""Ids of the executions that are counted, kept as long as those may be listed again. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["IDS_KEPT", "IDS_MOST", "CountedIds"]

IDS_KEPT = 2_000
IDS_MOST = 100_000
"""However long neither paging nor the exchange's log makes progress."""


@dataclass(slots=True)
class CountedIds:
    """The newest `IDS_KEPT`, and those that may be paged again or are to be compared, however many come meanwhile."""

    _times: OrderedDict[str, int] = field(default_factory=OrderedDict)
    forgotten_to: int = field(default=-1, compare=False)
    """Exchange time (ms) up to which an execution without a known id was counted, and its id forgotten since."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Ids with their exchange times (ms), in the order of counting."""
        return iter(self._times.items())

    def has(self, exec_id: str, exchange_ts: int | None = None) -> bool:
        """Whether it was counted. With its exchange time (ms), also of one whose id is forgotten."""
        return exec_id in self._times or (exchange_ts is not None and exchange_ts <= self.forgotten_to)

    def add(self, exec_id: str, exchange_ts: int, *, final_to: int = 0) -> None:
        """Keep an id; what was made before `final_to` (ms) is neither paged nor compared again."""
        times = self._times
        times[exec_id] = exchange_ts
        while len(times) > IDS_KEPT:
            oldest, made_ts = next(iter(times.items()))
            if made_ts < final_to:
                self.forgotten_to = max(self.forgotten_to, made_ts)
            elif len(times) <= IDS_MOST:
                break
            del times[oldest]

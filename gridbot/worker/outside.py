"""What a worker is connected to: the exchange and the disk of a real process, or what a simulation puts there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridbot.bybit.rest import BybitRest
from gridbot.bybit.streams import StreamSet
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.ports import Files
from gridbot.segment_file import SegmentDisk
from gridbot.state.state_files import StateFiles
from gridbot.system_ports import boot_ns

__all__ = ["ClosableFiles", "Outside"]


class ClosableFiles(Files, Protocol):
    """Files that belong to one life of a worker."""

    def close(self) -> bool:
        """Write what waits; False when that was not possible in time."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Makers, called with the arguments of the real ones."""

    rest: Callable[..., BybitRest] = BybitRest
    streams: Callable[..., StreamSet] = StreamSet
    trade_socket: Callable[..., TradeSocket] = TradeSocket
    files: Callable[[Path], ClosableFiles] = StateFiles
    journal_disk: SegmentDisk | None = None
    boot_ns: Callable[[], int] = boot_ns
    """CLOCK_BOOTTIME, by which a lease is measured."""

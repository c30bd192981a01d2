"""By which way orders reach the exchange: HTTP or the trade WebSocket. Pure, importable without pybit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridbot.exchange.environment import Environment
from gridbot.exchange.stream_news import ConnectionState

__all__ = ["HTTP_ONLY", "INCIDENT_S", "PROVEN", "EntryHealth", "OrderEntry", "by_socket"]

PATIENCE_S = 5.0
"""A trade socket that is down for so long is a reason against health: a reconnect takes a second or two."""
INCIDENT_S = 60.0
"""One that is down for so long is an incident."""

PROVEN = 100
"""Orders over WebSocket that an account's testnet has to have acknowledged before `auto` uses it on mainnet."""


class OrderEntry(StrEnum):
    """What the configuration asks for (`order_entry`)."""

    HTTP = "http"
    WEBSOCKET = "websocket"
    AUTO = "auto"


def by_socket(wanted: OrderEntry, environment: Environment, acknowledged: int) -> bool:
    """Whether orders go over WebSocket while it is up. `acknowledged` were so on the account's testnet.

    Bybit's demo has no trade socket.
    """
    if environment is Environment.DEMO or wanted is OrderEntry.HTTP:
        return False
    return wanted is OrderEntry.WEBSOCKET or environment is not Environment.MAINNET or acknowledged >= PROVEN


@dataclass(frozen=True, slots=True)
class EntryHealth:
    """By which way orders leave now. `state` is the trade socket's, None when none is wanted.

    `down_s` is since when it is down, 0 while it is up; `error` says why the last one ended; `reconnects` counts.
    """

    way: OrderEntry
    state: ConnectionState | None = None
    down_s: float = 0.0
    reconnects: int = 0
    error: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, as a sentence that says the same while it lasts; "" when all is well."""
        if self.state is None or self.down_s < PATIENCE_S:
            return ""
        return f"the trade socket is down ({self.error or self.state}); orders go by HTTP"


HTTP_ONLY = EntryHealth(OrderEntry.HTTP)
"""No trade socket is wanted."""

"""pybit's WebSockets, pointed at a paper exchange, without the race that they lose on a busy machine.

pybit notes a subscription, and who waits for an answer, after it has sent them. An answer that is sooner ends the
stream for good, in silence, or is dropped (docs/platform.md 2.1). The paper exchange waits 10 ms before it answers:
enough for a machine that has time, not for one where the sender loses the processor. So an answer waits for the sender.
"""

from __future__ import annotations

import threading
from typing import Any

from pybit.unified_trading import WebSocket, WebSocketTrading

from gridbot.paper.server.paper_spec import PaperAccount

__all__ = ["patient_stream", "patient_trading"]


class Patient:
    """One lock for what sends and what handles an answer."""

    def __init__(self, **options: Any) -> None:
        self._sending = threading.Lock()
        super().__init__(**options)

    def _handle_incoming_message(self, message: dict[str, Any]) -> None:
        with self._sending:
            super()._handle_incoming_message(message)  # type: ignore[misc]


class PatientStream(Patient, WebSocket):  # type: ignore[misc]
    def subscribe(self, *args: Any, **options: Any) -> None:
        with self._sending:
            super().subscribe(*args, **options)


class PatientTrading(Patient, WebSocketTrading):  # type: ignore[misc]
    def _send_order_operation(self, *args: Any, **options: Any) -> None:
        with self._sending:
            super()._send_order_operation(*args, **options)


def patient_stream(base: str, channel: str, account: PaperAccount | None = None, **options: Any) -> WebSocket:
    """A public stream, or an account's private one, of the exchange at `base` (ws://…)."""
    return _pointed_at(base, PatientStream, {"channel_type": channel} | options, account)


def patient_trading(base: str, account: PaperAccount) -> WebSocketTrading:
    """An account's order entry at `base`."""
    return _pointed_at(base, PatientTrading, {}, account)


def _pointed_at(base: str, kind: type, options: dict[str, Any], account: PaperAccount | None) -> Any:
    class Loopback(kind):  # type: ignore[misc]
        def _connect(self, url: str) -> None:
            super()._connect(base + url[url.index("/v5/") :])

    if account is not None:
        options |= {"api_key": account.api_key, "api_secret": account.api_secret, "private_auth_expire": 10}
    return Loopback(testnet=True, **options)

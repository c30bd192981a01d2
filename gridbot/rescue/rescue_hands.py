"""Hands for flattening without a worker: ids and records of the account, no books of orders, no gate.

Nothing here can open anything: each request reduces only and names its leg. Without the account's state (`books` is
None) ids begin at the clock, and nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from gridbot.core import Instrument, OrderUpdateEvent, PositionEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import OrderAck, OrderRequest
from gridbot.flatten.close_records import ended, request_for, sending
from gridbot.flatten.flatten_words import Close, Known
from gridbot.orders.ids import Generations, Owner
from gridbot.rescue.rescue_books import RescueBooks

__all__ = ["RescueHands"]


class RescueHands:
    """`owners` are the strategies with orders on the exchange, by symbol, `nobody` is whose the closes of all
    other symbols are, of which no record is kept; `fallback` gives numbers without a state."""

    def __init__(
        self,
        owners: Mapping[str, Owner],
        nobody: Owner,
        books: RescueBooks | None,
        fallback: Generations,
        alert: Callable[[str, str, str], object],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self.sent: list[OrderRequest] = []
        """Closes that the exchange may have."""
        self._owners = owners
        self._nobody = nobody
        self._books = books
        self._fallback = fallback
        self._alert = alert
        self._on_fault = on_fault

    def latch_is_safe(self) -> bool:
        return self._books is not None and not self._books.unsaved()

    def withdraw_known(self, symbols: Iterable[str]) -> int:
        return 0  # nothing is known before it is listed

    def is_ours(self, row: OrderUpdateEvent) -> bool:
        owner = self._owners.get(row.symbol)
        if owner is None:
            return False
        return owner.made(row.order_link_id) or self._is_recorded(row)

    def _is_recorded(self, row: OrderUpdateEvent) -> bool:
        """Ids of an earlier layout, and of adopted orders, say whose they are only together with our records."""
        if self._books is None:
            return False
        known = self._books.checkpoint.orders.known.get(row.order_link_id or row.order_id)
        return known is not None and not known.shadow

    def under_way(self, symbols: Iterable[str]) -> int:
        return 0

    def saw_legs(self, legs: Sequence[PositionEvent]) -> None:
        """The machine has them."""

    def known(self, symbols: Iterable[str]) -> Known:
        return Known()  # there is nothing but HTTP

    def known_rules(self, symbol: str) -> Instrument | None:
        return None

    def request_of(self, close: Close, reference: Decimal, leg_size: Decimal) -> OrderRequest | str:
        owner, books = self._owners.get(close.symbol, self._nobody), self._books
        numbers = books.generations if books is not None and books.generations.available(1) else self._fallback
        request = request_for(close, owner, reference=reference, leg_size=leg_size, generation=numbers.next())
        if not owner.strat_id:
            return request
        if books is not None:
            books.record(sending(request, owner.strat_id))
            books.recorder.write_ahead()
        self.sent.append(request)
        return request

    def answered(self, request: OrderRequest, answer: OrderAck | ExchangeError) -> None:
        owner = self._owners.get(request.symbol)
        record = None if owner is None else ended(request, owner.strat_id, answer)
        if record is not None:
            self.sent.remove(request)
            if self._books is not None:
                self._books.record(record)

    def warn(self, text: str) -> None:
        self._alert("warning", "flatten.slow", text)

    def on_fault(self, part: str, error: BaseException) -> None:
        self._on_fault(part, error)

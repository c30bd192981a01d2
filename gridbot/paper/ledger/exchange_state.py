"""What the exchange knows, and what its streams have to say about a step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account, Leg, Transfer
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.valuation import Totals, totals
from gridbot.paper.engine.liquidation import Liquidation
from gridbot.paper.ledger.matching import RestingBook
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows import private_rows
from gridbot.paper.settings import PaperConfig, PositionMode

__all__ = ["ExchangeState", "Push"]

DEFAULT_DCP_WINDOW_S = 10
_VALUED_TOPICS = frozenset({"position", "wallet"})


@dataclass(frozen=True, slots=True)
class Push:
    """Rows for one topic of one account's private streams."""

    account: str
    topic: str
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class _Dirty:
    """What one step changed for one account."""

    account: Account
    orders: list[dict[str, Any]]
    executions: list[dict[str, Any]]
    legs: dict[tuple[str, int], Leg]


class ExchangeState:
    """Accounts, markets and books. `run_id` (12 hex digits) makes ids unique across restarts of the exchange.

    A step notes what it changed (`_order_changed`, `_record`, `_touch`) and ends with `_flush`, which appends the rows
    to the outbox for the topics that somebody listens to.
    """

    def __init__(self, config: PaperConfig, markets: Mapping[str, SymbolMarket], run_id: str, now_ms: int) -> None:
        self.config = config
        self.markets = dict(markets)
        self.books = {symbol: RestingBook(config.matching) for symbol in markets}
        self.accounts: dict[str, Account] = {}
        self.by_key: dict[str, Account] = {}
        self.started_ms = now_ms
        self.outbox: list[Push] = []
        self.liquidations: list[Liquidation] = []
        self._run_id = run_id
        self._number = 0
        self._owners: dict[str, tuple[Account, Order]] = {}
        self._waiting: dict[str, dict[str, tuple[Account, Order]]] = {}
        self._stops: dict[tuple[str, str, int], dict[str, Order]] = {}  # waiting ones, by account, symbol, index
        self._dirty: dict[str, _Dirty] = {}

    def add_account(self, name: str, api_key: str, api_secret: str, balance: Decimal) -> Account:
        account = Account(name, 9_000_001 + len(self.accounts), api_key, api_secret, balance)
        account.dcp_window_s = DEFAULT_DCP_WINDOW_S if self.config.dcp else None
        account.transfers.append(Transfer(0, self.started_ms, "TRANSFER_IN", balance, balance))
        self.accounts[name] = account
        self.by_key[api_key] = account
        return account

    def leverage(self, account: Account, symbol: str) -> Decimal:
        return account.leverage.get(symbol, self.config.default_leverage)

    def is_hedge(self, account: Account, symbol: str) -> bool:
        return account.hedge.get(symbol, self.config.position_mode is PositionMode.HEDGE)

    def totals(self, account: Account) -> Totals:
        return totals(account, self.markets, self.config.default_leverage, self.config.taker_fee)

    def legs(self, account: Account, symbol: str) -> list[Leg]:
        """Rows of a symbol in the account's mode, flat ones included."""
        indexes = (1, 2) if self.is_hedge(account, symbol) else (0,)
        return [self.leg(account, symbol, idx) for idx in indexes]

    def leg(self, account: Account, symbol: str, idx: int) -> Leg:
        leg = account.legs.get((symbol, idx))
        if leg is None:
            direction = Direction.SHORT if idx == 2 else Direction.LONG
            leg = Leg(symbol, idx, direction, self.started_ms, updated_ms=self.started_ms)
            account.legs[(symbol, idx)] = leg
        return leg

    def position_row(self, account: Account, leg: Leg, figures: Totals, *, stream: bool = False) -> dict[str, Any]:
        market = self.markets[leg.symbol]
        leverage = self.leverage(account, leg.symbol)
        return private_rows.position_row(
            account, leg, market, leverage, self.config.taker_fee, figures.equity, stream=stream
        )

    @property
    def run_id(self) -> str:
        return self._run_id

    def resume_ids(self, run_id: str, number: int) -> None:
        """Go on counting where an earlier run stopped."""
        self._run_id, self._number = run_id, number

    @property
    def last_number(self) -> int:
        """Number of the newest order or execution."""
        return self._number

    def take_outbox(self) -> list[Push]:
        pushes, self.outbox = self.outbox, []
        return pushes

    def _id(self, number: int) -> str:
        return f"{self._run_id[:8]}-{self._run_id[8:12]}-4000-8000-{number:012x}"

    def _dirt(self, account: Account) -> _Dirty:
        dirt = self._dirty.get(account.name)
        if dirt is None:
            dirt = self._dirty[account.name] = _Dirty(account, [], [], {})
        return dirt

    def _order_changed(self, account: Account, order: Order) -> None:
        dirt = self._dirt(account)
        if "order" in account.listening:
            dirt.orders.append(private_rows.order_row(order, self.markets[order.symbol].listing, stream=True))
        self._touch(account, self.leg(account, order.symbol, order.request.position_idx))

    def _record(self, account: Account, execution: Execution, order: Order | None) -> None:
        dirt = self._dirt(account)
        listing = self.markets[execution.symbol].listing
        if "execution" in account.listening:
            dirt.executions.append(private_rows.execution_row(execution, listing, stream=True))
        if order is not None and "order" in account.listening:
            dirt.orders.append(private_rows.order_row(order, listing, stream=True))

    def _touch(self, account: Account, leg: Leg) -> None:
        self._dirt(account).legs[(leg.symbol, leg.position_idx)] = leg

    def _flush(self) -> None:
        """Turn what changed in this step into pushes."""
        dirty, self._dirty = self._dirty, {}
        for dirt in dirty.values():
            account = dirt.account
            listening = account.listening
            if dirt.orders:
                self.outbox.append(Push(account.name, "order", dirt.orders))
            if dirt.executions:
                self.outbox.append(Push(account.name, "execution", dirt.executions))
            if not listening & _VALUED_TOPICS:
                continue
            figures = self.totals(account)
            if "position" in listening and dirt.legs:
                rows = [self.position_row(account, leg, figures, stream=True) for leg in dirt.legs.values()]
                self.outbox.append(Push(account.name, "position", rows))
            if "wallet" in listening:
                self.outbox.append(Push(account.name, "wallet", [private_rows.wallet_row(account, figures)]))

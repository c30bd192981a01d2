"""Settings, markets, accounts, and the counter of ids. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.core.vocabulary import SETTLE_COIN, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.changes import AccountChanges
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.market.listing_terms import ChangedListings
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.settings import PaperConfig, PositionMode
from gridbot.paper.worth.valuation import Valuation

__all__ = ["ExchangeState", "IdCounter", "working_price"]

DEFAULT_DCP_WINDOW_S = 10
DAY_MS = 24 * 3600 * 1000
UNBOUND = ("*",)
UNBOUND_DAYS = 90
"""After which Bybit lets a key expire that is bound to no address."""
FIRST_UID = 9_000_001


class IdCounter:
    """Numbers orders, executions and transfers in the order in which they come, and makes ids of the numbers.

    `run_id` (12 hex digits) makes ids unique across restarts of the exchange; `last` is the newest number.
    """

    def __init__(self, run_id: str) -> None:
        self.resume(run_id, 0)

    def resume(self, run_id: str, last: int) -> None:
        """Continue counting where an earlier run stopped."""
        self.run_id, self.last = run_id, last
        self._begin = f"{run_id[:8]}-{run_id[8:12]}-4000-8000-"

    def take(self) -> int:
        self.last += 1
        return self.last

    def text(self, number: int) -> str:
        """The id of a number, shaped as a UUID."""
        return f"{self._begin}{number:012x}"


class ExchangeState:
    """Shared by all parts. Accounts are added here; what belongs to an account is changed through the account."""

    def __init__(self, config: PaperConfig, markets: Mapping[str, SymbolMarket], run_id: str, now_ms: int) -> None:
        self.config = config
        self.markets = dict(markets)
        self.accounts: dict[str, Account] = {}
        self.by_key: dict[str, Account] = {}
        self.started_ms = now_ms
        self.ids = IdCounter(run_id)
        self.listings = ChangedListings()
        self.valuation = Valuation(self.markets, config.default_leverage, config.taker_fee)

    def add_account(
        self, name: str, api_key: str, api_secret: str, balance: Decimal, make: type[Account] = Account
    ) -> Account:
        """Open an account with a balance in USDT, which is the first entry of its transaction log."""
        uid = FIRST_UID + len(self.accounts)
        account = make(name, uid, api_key, api_secret, balance, opened_ms=self.started_ms)
        account.dcp_window_s = DEFAULT_DCP_WINDOW_S if self.config.dcp else None
        if (key := self.config.keys.get(name)) is not None:
            account.ips = tuple(ip for ip in key.ips or () if ip != "*")
            days = key.expires_in_days if key.expires_in_days is not None or key.ips != UNBOUND else UNBOUND_DAYS
            account.expires_ms = None if days is None else self.started_ms + days * DAY_MS
        account.transfer(0, "TRANSFER_IN", balance, self.started_ms)
        self.accounts[name] = account
        self.by_key[api_key] = account
        return account

    def note_changes(self) -> dict[str, AccountChanges]:
        """From now on note what changes; return where accounts that changed put themselves, by name."""
        dirty: dict[str, AccountChanges] = {}
        for account in self.accounts.values():
            account.changes = AccountChanges(account.name, dirty)
        return dirty

    def base_coin(self, symbol: str) -> str:
        """Of any contract that an account has ever traded; it need not be listed any more."""
        market = self.markets.get(symbol)
        return symbol.removesuffix(SETTLE_COIN) if market is None else market.listing.base_coin

    def no_qty(self, symbol: str) -> str:
        """How rows of such a contract write a quantity of 0."""
        market = self.markets.get(symbol)
        return "0" if market is None else market.listing.no_qty

    def is_hedge(self, account: Account, symbol: str) -> bool:
        return account.hedge.get(symbol, self.config.position_mode is PositionMode.HEDGE)

    def legs(self, account: Account, symbol: str) -> list[Leg]:
        """Rows of a symbol in the account's mode, flat ones included."""
        indexes = (1, 2) if self.is_hedge(account, symbol) else (0,)
        return [account.leg(symbol, idx) for idx in indexes]

    def new_order(self, request: NewOrder, now_ms: int, *, closing: bool) -> Order:
        """An order with the next number; `closing` says that it may only close."""
        market, ids = self.markets[request.symbol], self.ids
        number, price = ids.take(), working_price(request, market)
        return Order(number, ids.text(number), request, request.qty, price, closing, market.last, now_ms, now_ms)


def working_price(request: NewOrder, market: SymbolMarket) -> Decimal:
    """An order's limit price; of a market order the best price of the other side."""
    if request.price is not None:
        return request.price
    return market.depth.ask if request.side is Side.BUY else market.depth.bid

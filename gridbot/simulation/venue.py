"""The paper exchange behind the simulated network: its engine, endpoints, channels and publisher, without sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from gridbot.bybit.carrier import Outgoing
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.api.dispatch import ROUTES, Api, Reply, error_reply
from gridbot.paper.api.request_limits import AddressLimiter
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.faults.fault_plan import FaultPlan
from gridbot.paper.feed.market_feed import MarketFeed
from gridbot.paper.feed.market_setup import known_listings, open_markets
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.server.paper_spec import PaperAccount
from gridbot.paper.settings import PaperConfig
from gridbot.paper.streams import outgoing as streams_outgoing
from gridbot.paper.streams.channels import Channels
from gridbot.paper.streams.connections import Hub
from gridbot.paper.streams.publisher import Publisher
from gridbot.simulation.odd_answers import REALTIME, OddAnswers

__all__ = ["CREATES", "Venue"]

CREATES = ("/v5/order/create", "/v5/order/create-batch")
CANCELS = ("/v5/order/cancel", "/v5/order/cancel-batch", "/v5/order/cancel-all", "/v5/order/amend")


class _NoFaults(Faults):
    """The network does what goes wrong; the exchange itself is honest."""

    def __init__(self) -> None:
        self.plan = FaultPlan(1)

    def elapsed_s(self) -> float:
        return 0.0


class Venue:
    """One per run, for one account. `markets` are those of the configuration unless they are given."""

    def __init__(
        self,
        config: PaperConfig,
        account: PaperAccount,
        now_ms: Callable[[], int],
        run_id: str,
        markets: Mapping[str, SymbolMarket] | None = None,
    ) -> None:
        self.now_ms = now_ms
        if markets is None:
            markets = open_markets(config.market, known_listings(config.market), None, now_ms())
        self.exchange = Exchange(config, markets, run_id, now_ms())
        self.account: Account = self.exchange.state.add_account(
            account.name, account.api_key, account.api_secret, account.balance or config.default_balance
        )
        faults = _NoFaults()
        self.api = Api(self.exchange)
        self.hub = Hub()
        self.publisher = Publisher(self.exchange.markets, self.exchange.accounts, self.hub, faults, now_ms)
        leaving = streams_outgoing.Outgoing(self.deliver)
        self.channels = Channels(self.api, self.hub, self.publisher, faults, now_ms, leaving)
        self.market = MarketFeed(self.exchange, self.publisher, now_ms, leaving)
        self.says_realised = True
        """Whether frames of executions have the exchange's own figure of what they realised; lists never have it."""
        self._addresses = AddressLimiter(config.limits)
        self.created: dict[str, dict[str, object]] = {}
        """Create requests that arrived, by their orderLinkId."""
        self.odd = OddAnswers()
        self.answer_watchers: list[Callable[[dict[str, object], int], None]] = []
        """Called with each row of a create request, and the code with which it is answered."""
        self.watchers: list[Callable[[str, dict[str, object], float], None]] = []
        """Called with the path and each row of a request that creates or ends orders, before it is carried out, and
        when it was sent (seconds of the loop)."""

    def handle(self, outgoing: Outgoing, sent_s: float) -> Reply:
        """Answer a request now."""
        now_ms = self.now_ms()
        if not self._addresses.allows("192.0.2.1", now_ms / 1000):
            return error_reply(ApiError(10018, "access too frequent", http_status=403), now_ms)
        path = outgoing.target.partition("?")[0]
        if path in CREATES or path in CANCELS:
            self.note_asked(path, orjson.loads(outgoing.body or b"{}"), sent_s)
        reply = self.api.handle(
            outgoing.method, outgoing.target, outgoing.named_headers(), outgoing.body or b"", now_ms, "192.0.2.1"
        )
        self.deliver()
        return self.odd.altered(outgoing.target, reply)

    def note_asked(self, path: str, document: dict[str, Any], sent_s: float) -> None:
        """A request that creates or ends orders is here, by whichever way."""
        for row in document.get("request", [document]):
            for watch in self.watchers:
                watch(path, row, sent_s)
            if path in CREATES:
                self.created.setdefault(str(row.get("orderLinkId", "")), row)

    def note_answer(self, path: str, request: dict[str, Any], document: dict[str, Any]) -> None:
        """An answer leaves, also one that a fault has put in the place of ours."""
        if path not in CREATES:
            return
        wanted = request.get("request", [request])
        rows = (document.get("retExtInfo") or {}).get("list") if document["retCode"] == 0 else None
        codes = [row["code"] for row in rows] if rows else [document["retCode"]] * len(wanted)
        for watch in self.answer_watchers:
            for row, code in zip(wanted, codes, strict=True):
                watch(row, code)

    def deliver(self) -> None:
        """Push what the exchange has to say."""
        self.publisher.liquidated(self.exchange.liquidator.take())
        if self.exchange.outbox:
            self.channels.push(self.exchange.outbox.take())

    def turn(self) -> None:
        """Do what is due now without a trade, such as a funding, and tell the account of it."""
        self.exchange.on_time(self.now_ms())
        self.deliver()

    def stand_still(self) -> None:
        """From now on listings of open orders say what is true at this moment, until `odd.listed` is None again."""
        rows: list[Mapping[str, object]] = []
        params: dict[str, object] = {"category": "linear", "settleCoin": "USDT", "limit": "50"}
        while True:
            page = ROUTES[REALTIME].signed(self.exchange, self.account, params, self.now_ms())  # type: ignore[misc]
            rows += page["list"]
            if not page["nextPageCursor"]:
                break
            params = {**params, "cursor": page["nextPageCursor"]}
        self.odd.listed = rows

    def restart(self) -> None:
        """What a restart of the exchange's services forgets."""
        self.account.cached_from = self.exchange.state.ids.last + 1
        self.publisher.restart()

    # ------------------------------------------------------------------ by hand, and the market

    def ask_by_hand(self, verb: str, path: str, params: dict[str, object]) -> dict[str, object]:
        """A request of the account's owner, from a web page: not through the worker's network."""
        try:
            result, _, _ = self.api.call(ROUTES[path], path, self.account, params, self.now_ms())
        except ApiError as error:
            return {"error": error.code, "text": error.message}
        finally:
            self.deliver()
        return result

    def liquidate(self) -> bool:
        """The owner takes out more than the positions can spare, the exchange takes them over, the money comes back."""
        figures = self.exchange.totals(self.account)
        if figures.holdings.maintenance <= 0:
            return False
        taken = figures.equity - figures.holdings.maintenance / 2  # its orders go first, and their margin
        self._pay_in(-taken)
        self.exchange.on_time(self.now_ms())
        self._pay_in(taken)
        self.deliver()
        return True

    def _pay_in(self, amount: Decimal) -> None:
        account = self.account
        account.deposit += amount
        account.wallet += amount
        account.transfer(self.exchange.state.ids.take(), "TRANSFER", amount, self.now_ms())

    def move(self, symbol: str, price: Decimal, size: Decimal = Decimal(0)) -> None:
        """Move the price of a symbol; orders that it passes fill."""
        last = self.exchange.markets[symbol].last
        self.market.trade(symbol, price, size, Side.BUY if price >= last else Side.SELL)

    # ------------------------------------------------------------------ what is true

    @property
    def open_orders(self) -> list[Order]:
        """Orders that rest now."""
        return list(self.account.open.values())

    def is_ours(self, order: Order) -> bool:
        """Whether the worker created it."""
        return order.link_id in self.created

    def ours(self) -> Iterable[Order]:
        """Open orders that the worker created."""
        return [order for order in self.open_orders if self.is_ours(order)]

"""A worker's hands for flattening, and the owner of the account's latch.

`begin` is what `cancel`, `flatten` and `kill` call, and whatever else has to close an account, such as a limit::

    begin ──► holds in memory, document in journal and file ──► the machine (`gridbot.flatten`) ──► told, finished
                                                                          │ this process dies
    the next life, or a rescue ──────────────────────────────────────────► goes on with what is not over

Closes leave past the queue of the executor, since they end at once and no book has to follow them: the gate is asked
about each (an operator's close), each has an id of ours and a record before it leaves, and its executions are counted
like all others. What a strategy had in its book is withdrawn there.
"""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from gridbot import background
from gridbot.core import Instrument, OrderUpdateEvent, PositionEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import OrderAck, OrderRequest
from gridbot.flatten.close_records import ended, request_for, sending
from gridbot.flatten.flatten_drive import FlattenDrive, FlattenQueries
from gridbot.flatten.flatten_words import Close, Finished, Known, Wanted
from gridbot.orders.ids import Owner
from gridbot.orders.order import OrderState
from gridbot.orders.proposal import Proposal
from gridbot.orders.reconcile import owns
from gridbot.ports import OrderGateway
from gridbot.risk.holds import Held, Who
from gridbot.risk.refusals import Producer
from gridbot.state.flatten_file import FlattenDocument, FlattenFile
from gridbot.worker.context import WorkerContext
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Flattening"]

log = logging.getLogger(__name__)

UNSETTLED = frozenset({OrderState.PENDING, OrderState.UNRESOLVED})


class Flattening:
    """One per account; `live` are the strategies with orders on the exchange, by symbol. `refused` are those that could
    not start, of which there is no runner: symbol and strategy.

    `unsaved` names what the disk has not taken of what stops orders; `write_ahead` has the journal take what is
    recorded.
    """

    def __init__(
        self,
        context: WorkerContext,
        live: Mapping[str, StrategyRunner],
        refused: Mapping[str, str],
        file: FlattenFile,
        queries: FlattenQueries,
        gateway: OrderGateway,
        *,
        unsaved: Callable[[], Sequence[str]],
        write_ahead: Callable[[], object],
    ) -> None:
        self._context = context
        self._live = live
        self._owners = {symbol: Owner.of(context.account_tag, name, context.epoch) for symbol, name in refused.items()}
        self._owners |= {symbol: runner.orders.owner for symbol, runner in live.items()}
        self._nobody = Owner.of(context.account_tag, "", context.epoch)
        """Of closes on symbols that no strategy trades: no record is kept of them."""
        self._file = file
        self._queries = queries
        self._gateway = gateway
        self._unsaved = unsaved
        self._write_ahead = write_ahead
        self._drive: FlattenDrive | None = None
        self._ended: list[Callable[[Finished], None]] = []

    def enroll(self, symbol: str, owner: Owner) -> None:
        """A strategy with orders on the exchange has come."""
        self._owners[symbol] = owner

    def withdraw(self, symbol: str) -> None:
        """It is gone, and has none there."""
        self._owners.pop(symbol, None)

    # ------------------------------------------------------------------ the account's latch

    def load(self) -> None:
        """What an earlier life left holds again. Before the first order."""
        held = self._file.document.latched
        if held is not None:
            self._context.gate.kill(held.reason, held.who, held.since_ms)

    def go_on(self) -> None:
        """Go on with what an earlier process of the account has begun. Once everything is reconciled."""
        document = self._file.document
        if document.unfinished is not None:
            log.warning("going on with what an earlier process has begun: %s", document.reason)
            self._run(document.unfinished)

    def latch(self, reason: str, who: Who) -> None:
        """Nothing of any strategy passes until `unlatch`: in memory at once, on the disk as soon as it takes it."""
        gate = self._context.gate
        gate.kill(reason, who)
        held = self._file.document.latched or Held(reason, who, self._context.clock.wall_ms())
        self._keep(replace(self._file.document, latched=held))
        self._context.alert("error", "latched", gate.latched)

    def unlatch(self) -> None:
        """An operator resumes the account."""
        if self._file.document.latched is not None:
            self._context.gate.unlatch()
            self._keep(replace(self._file.document, latched=None))
            self._context.alert.over("latched", "the account may trade again: an operator has resumed it")

    # ------------------------------------------------------------------ running

    @property
    def busy(self) -> Mapping[str, bool]:
        """The symbols that are being flattened or cleared now; empty when nothing runs."""
        return {} if self._drive is None else self._drive.state.wanted.symbols

    def begin(self, wanted: Wanted, reason: str, *, kept: bool = True) -> Future[tuple[bool, str]]:
        """Cancel, and close what `wanted` says; the strategies are held already. The answer: done, and what remains.

        What is under way goes on together with it, by the newer terms. What is not `kept` ends with this process.
        """
        if self._drive is not None:
            wanted = self._drive.state.wanted.beside(wanted)
        if kept:
            self._keep(replace(self._file.document, unfinished=wanted, reason=reason))
        return self._run(wanted)

    def on_end(self, tell: Callable[[Finished], None]) -> None:
        """Have a function called once with the end of what runs."""
        self._ended.append(tell)

    async def close_now(self, wanted: Wanted) -> Finished:
        """For an orderly stop: what `wanted` says, within its time; nothing of it is kept for the next life."""
        if self._drive is not None:
            await self._drive.stop()
        drive = FlattenDrive(wanted, self._queries, self._gateway, self, self._context.clock, self._context.address)
        drive.start()
        try:
            return await drive.finished
        finally:
            await drive.stop()

    async def stop(self) -> None:
        """This process ends: the next one goes on."""
        if self._drive is not None:
            await self._drive.stop()

    def _run(self, wanted: Wanted) -> Future[tuple[bool, str]]:
        before = self._drive
        drive = FlattenDrive(wanted, self._queries, self._gateway, self, self._context.clock, self._context.address)
        self._drive = drive
        background.start(self._follow(drive, before), name="flattening")
        return drive.told

    async def _follow(self, drive: FlattenDrive, before: FlattenDrive | None) -> None:
        if before is not None:
            await before.replaced_by(drive)
        drive.start()
        end = await drive.finished
        if self._drive is not drive:
            return
        self._drive = None
        log.log(logging.INFO if end.clean else logging.ERROR, "[flatten] %s", end.text)
        if drive.stopped:
            return
        self._keep(replace(self._file.document, unfinished=None, reason=""))
        if end.clean:
            self._context.alert.over("flatten", end.text)
        else:
            self._context.alert("error", "flatten", end.text)
        self._context.requests.reconcile("orders were cancelled and legs closed")
        self._context.requests.refresh_wallet()
        tells, self._ended = self._ended, []
        for tell in tells:
            tell(end)

    def _keep(self, document: FlattenDocument) -> None:
        if document != self._file.document:
            self._file.keep(document)

    # ------------------------------------------------------------------ hands (`flatten_drive.Hands`)

    def latch_is_safe(self) -> bool:
        return not self._unsaved()

    def withdraw_known(self, symbols: Iterable[str]) -> int:
        count = 0
        for runner in self._of(symbols):
            count += sum(not order.withdrawn for order in runner.book)
            with self._context.faults.contained(f"{runner.symbol}: withdrawing all orders", runner.symbol):
                runner.orders.cancel_all("flatten")
        return count

    def is_ours(self, row: OrderUpdateEvent) -> bool:
        runner, owner = self._live.get(row.symbol), self._owners.get(row.symbol)
        if owner is None or owner.made(row.order_link_id):
            return owner is not None
        return runner is not None and owns(row, owner, runner.instrument, self._context.recorded.known)

    def under_way(self, symbols: Iterable[str]) -> int:
        orders = [order for runner in self._of(symbols) for order in runner.book]
        return sum(order.on_wire and order.state in UNSETTLED for order in orders)

    def saw_legs(self, legs: Sequence[PositionEvent]) -> None:
        for leg in legs:
            runner = self._live.get(leg.symbol)
            if runner is not None:
                with self._context.faults.contained(f"{leg.symbol}: a leg", leg.symbol):
                    runner.on_position_update(leg, source="rest")

    def known(self, symbols: Iterable[str]) -> Known:
        if self._gateway.by_http:
            return Known()
        runners = self._of(symbols)
        return Known(
            {
                (runner.symbol, direction): leg.size
                for runner in runners
                for direction, leg in runner.risk_state.legs.items()
            },
            {runner.symbol: (runner.instrument, runner.risk_state.last_price) for runner in runners},
            sum(len(runner.book) for runner in runners),
        )

    def known_rules(self, symbol: str) -> Instrument | None:
        runner = self._live.get(symbol)
        return None if runner is None else runner.instrument

    def request_of(self, close: Close, reference: Decimal, leg_size: Decimal) -> OrderRequest | str:
        """Asks the gate, as for every order of an operator; there is none for a strategy that could not start."""
        context, runner, owner = self._context, self._live.get(close.symbol), self._owner(close.symbol)
        if not context.generations.available(1):
            return "no number for an order can be reserved: the disk does not take generation.json"
        if runner is not None and not close.one_way:
            proposal = Proposal(
                side=close.side,
                direction=close.direction,
                ticks=runner.instrument.ticks(reference),
                price=reference,
                qty=close.qty or leg_size,
                reduce_only=True,
                post_only=False,
            )
            refusal = context.gate.admit(runner.risk_state, proposal, context.clock.monotonic_s(), Producer.CLOSE)
            if refusal is not None:
                return f"the gate: {refusal}"
        request = request_for(
            close, owner, reference=reference, leg_size=leg_size, generation=context.generations.next()
        )
        if not owner.strat_id:
            log.warning("[flatten] closing what no strategy trades: %s", close)
            return request
        context.record_order(sending(request, owner.strat_id))
        self._write_ahead()
        return request

    def answered(self, request: OrderRequest, answer: OrderAck | ExchangeError) -> None:
        owner = self._owner(request.symbol)
        record = None if not owner.strat_id else ended(request, owner.strat_id, answer)
        if record is not None:
            self._context.record_order(record)

    def warn(self, text: str) -> None:
        self._context.alert("warning", "flatten.slow", text)

    def on_fault(self, part: str, error: BaseException) -> None:
        self._context.faults.report(part, error)

    def _owner(self, symbol: str) -> Owner:
        return self._owners.get(symbol, self._nobody)

    def _of(self, symbols: Iterable[str]) -> list[StrategyRunner]:
        return [self._live[symbol] for symbol in symbols if symbol in self._live]

"""One command for an account that no worker trades: the holds at once, then the exchange by REST, then the records.

    pause                   what holds in the next life
    reduce                  the same, and what rests to open is withdrawn
    cancel, flatten, kill   the same, and what a worker would do (`worker/flatten_commands.py`)

A message with `capped` comes from a cap of fleet or groups, which holds the account by itself: no strategy is held.

The caller has the lock of the account's key. What has not come to its end is in `flatten.json`: whoever has the account
next goes on with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.commands.arguments import (
    CancelArguments,
    FlattenArguments,
    PauseArguments,
    ReduceArguments,
    read_arguments,
)
from gridbot.commands.command_table import WORKER_COMMANDS, find_command
from gridbot.commands.wording import did_you_mean
from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ExchangeError
from gridbot.fault_words import in_words
from gridbot.flatten.flatten_drive import FlattenDrive
from gridbot.flatten.flatten_words import Finished, Others, Terms, Wanted
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.orders.ids import Generations, Owner, account_tag
from gridbot.ports import Clock, Ids
from gridbot.records import unfollowed_orders
from gridbot.records.journal import JournalBusy
from gridbot.rescue.rescue_books import RescueBooks
from gridbot.rescue.rescue_hands import RescueHands
from gridbot.risk.holds import Event, Held, Holds, Kill, Pause, Reduce, Who, step
from gridbot.state.unkept_holds import UNKEPT, unkept_document, unkept_of
from gridbot.worker.commands import Answer, record_of, told
from gridbot.worker.entry_ways import leased
from gridbot.worker.flatten_commands import OPERATOR, held_by, others_of, terms_of
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.spec import WorkerSpec

__all__ = ["SETTLE_S", "Rescue", "Said"]

log = logging.getLogger(__name__)

_DONE = {"pause": "paused", "reduce": "only reducing", "flatten": "flattened", "kill": "killed"}
SETTLE_S = 2.0
"""How long a request of the dead worker may still be under way."""


@dataclass
class Said:
    """Who hears what: `answer` the answer, `taken` that it takes long, `alert` level, key and text, `hand` a document
    that stops orders, where there is a supervisor; `share` a file of state to the next holder, in a fleet."""

    answer: Callable[[Answer], None]
    taken: Callable[[], None] = lambda: None
    alert: Callable[[str, str, str], object] = lambda level, key, text: None
    hand: Callable[[str, dict[str, Any]], None] | None = None
    share: Callable[[str, bytes, bool], None] | None = None


@dataclass
class Rescue:
    """One per process. `queue` leads to the writer, where there is one."""

    spec: WorkerSpec
    queue: Any
    clock: Clock
    ids: Ids
    said: Said
    fleet: FleetLink
    settle_s: float = SETTLE_S
    rest_of: Callable[..., BybitRest] = field(default=BybitRest)
    lease: LeaseWatch | None = None
    """The account's lease, of a fleet of several hosts: without it nothing is closed here either."""

    @property
    def _epoch(self) -> int:
        return 0 if self.lease is None else self.lease.epoch

    async def run(self, message: Mapping[str, Any]) -> bool:
        """Carry out the command of a `command` message; whether all is done.

        Raises JournalBusy when another process has the account's records. Every other trouble is in the answer.
        """
        try:
            name, args = self._read(message)
            strategies = self._addressed(args)
        except (LookupError, ValueError) as error:
            self.said.answer({"ok": False, "error": str(error)})
            return False
        books = self._open()
        try:
            return await self._carry_out(message, name, args, strategies, books)
        finally:
            if books is not None:
                books.close()

    def _read(self, message: Mapping[str, Any]) -> tuple[str, Any]:
        command = find_command(message.get("name"), WORKER_COMMANDS)
        if not (command.rescued or command.kept):
            raise ValueError(f"{command.name} needs a worker that trades, and the account has none")
        args = read_arguments(command, message.get("args") or {})
        if isinstance(args, FlattenArguments):
            terms_of(args)
        return command.name, args

    def _addressed(self, args: Any) -> list[str]:
        known = [each.strat_id for each in self.spec.settings.strategies_of(self.spec.account)]
        if not args.strategy:
            return known
        if args.strategy not in known:
            hint = did_you_mean(args.strategy, known)
            listed = ", ".join(known)
            raise LookupError(f"expected a strategy of {self.spec.account} ({listed}), got {args.strategy!r}{hint}")
        return [args.strategy]

    def _open(self) -> RescueBooks | None:
        try:
            hand = self.said.hand or (lambda name, document: None)
            said = self.said
            return RescueBooks(
                self.spec, self.queue, self.clock, self.ids, hand=hand, alert=said.alert, share=said.share
            )
        except JournalBusy:
            raise
        except Exception as error:
            text = f"the account's records cannot be opened ({in_words(error)}); going on without them"
            log.exception("the account's records cannot be opened")
            self.said.alert("error", "rescue.records", text)
            return None

    async def _carry_out(
        self, message: Mapping[str, Any], name: str, args: Any, strategies: list[str], books: RescueBooks | None
    ) -> bool:
        who = str(message.get("who") or "") or OPERATOR
        count = 0 if message.get("capped") else self._hold(name, args, strategies, books, who)
        if isinstance(args, PauseArguments) and not args.cancel:
            text = f"{count} paused, for the next life of the worker"
            self._answer(message, books, {"ok": True, "result": text if books else text + self._unrecorded()})
            return True
        self.said.taken()
        wanted = self._wanted(name, args, strategies)
        if books is not None:
            reason = held_by(name, who, args.reason)
            unfinished = books.flatten.document.unfinished
            wanted = wanted if unfinished is None else unfinished.beside(wanted)
            books.flatten.keep(replace(books.flatten.document, unfinished=wanted, reason=reason))
        end = await self._flatten(message, wanted, books)
        if books is not None and end.clean:
            books.done()
        if not end.clean:
            self.said.alert("error", "flatten", end.text)
        return end.clean

    def _hold(self, name: str, args: Any, strategies: list[str], books: RescueBooks | None, who: str) -> int:
        reason = held_by(_DONE.get(name, "all orders cancelled"), who, args.reason)
        latched = Held(reason, Who.OPERATOR, self.clock.wall_ms()) if name == "kill" and not args.strategy else None
        events: list[Event] = [Reduce(reason, Who.OPERATOR) if name == "reduce" else Pause(reason, Who.OPERATOR)]
        if name == "kill" and args.strategy:
            events.append(Kill(reason, Who.OPERATOR))
        if isinstance(args, CancelArguments) and args.leave_running:
            events = []
        if books is None:
            self._hold_without_books(strategies, events, latched)
            return len(strategies)
        if latched is not None:
            document = books.flatten.document
            books.flatten.keep(replace(document, latched=document.latched or latched))
        for event in events:
            books.hold(strategies, event)
        return len(strategies)

    def _unrecorded(self) -> str:
        if self.said.hand is None:
            return "; the disk takes nothing: nothing of it is recorded, and nothing holds the account afterwards"
        return "; the disk takes nothing: nothing of it is recorded, and what holds ends with this supervisor"

    def _hold_without_books(self, strategies: list[str], events: list[Event], latched: Held | None) -> None:
        """The supervisor alone has it, and gives it to the next process of the account."""
        if self.said.hand is None:
            return
        holds, latched_before = unkept_of(self.spec.unkept)
        for strategy in strategies:
            for event in events:
                holds[strategy], _ = step(holds.get(strategy, Holds()), event, self.clock.wall_ms())
        self.said.hand(UNKEPT, unkept_document(holds, latched_before or latched))

    def _wanted(self, name: str, args: Any, strategies: list[str]) -> Wanted:
        live = [
            each.symbol
            for each in self.spec.settings.strategies_of(self.spec.account)
            if each.strat_id in strategies and not each.shadow_mode
        ]
        terms = Terms(foreign=getattr(args, "foreign", False), opens_only=isinstance(args, ReduceArguments))
        if isinstance(args, FlattenArguments):
            terms = terms_of(args)
        closes = name in ("flatten", "kill")
        others = Others.UNSEEN if isinstance(args, ReduceArguments) else others_of(args, closes=closes)
        return Wanted(dict.fromkeys(live, closes), replace(terms, settle_s=self.settle_s), others)

    # ------------------------------------------------------------------ the exchange

    async def _flatten(self, message: Mapping[str, Any], wanted: Wanted, books: RescueBooks | None) -> Finished:
        config = self.spec.settings.account(self.spec.account)
        credentials = Credentials(config.api_key.get_secret_value(), config.api_secret.get_secret_value())
        banned_s = max(0.0 if books is None else books.ban.left_s(), self.fleet.ban_left_s())
        self.fleet.budget.starting()  # its queries go before what other accounts open
        self.fleet.budget.open()
        rest = self.rest_of(
            endpoints_for(config.environment, self.spec.paper_url, credentials),
            credentials,
            timeout=self.spec.settings.rest_fetch_timeout,
            banned_for_s=banned_s,
            on_ban=partial(self._banned, books),
            budget=self.fleet.budget,
            facts=self.fleet.facts,
            **leased(self.lease),
        )
        self.fleet.hear_bans(rest.banned)
        owners = self._owners(str(config.environment), config.name)
        nobody = Owner.of(account_tag(str(config.environment), config.name), "", self._epoch)
        hands = RescueHands(owners, nobody, books, _fresh_numbers(self.clock), self.said.alert, self.on_fault)
        try:
            await self._set_the_clock(rest)
            drive = FlattenDrive(wanted, rest, rest.orders, hands, self.clock, self.fleet.budget)
            drive.start()
            done, text = await drive.told
            if books is None:
                text += self._unrecorded()
            self._answer(message, books, told(done, text))
            end = await drive.finished
            if books is not None:
                await self._settle_records(rest, books, hands, {symbol: one.strat_id for symbol, one in owners.items()})
            return end
        finally:
            self.fleet.budget.close()
            rest.close()

    async def _set_the_clock(self, rest: BybitRest) -> None:
        """A wrong clock has every request refused. Without an answer the machine's tries go on: each learns it."""
        try:
            await rest.server_time_ms()
        except ExchangeError as error:
            log.warning("the exchange's time cannot be read: %s", error)

    async def _settle_records(
        self, rest: BybitRest, books: RescueBooks, hands: RescueHands, owners: Mapping[str, str]
    ) -> None:
        """Record what was executed, and how our closes ended. What fails here the next worker does."""
        try:
            if books.executions_from_ms:
                count = books.count(list(await rest.executions(books.executions_from_ms)), owners)
                log.info("recorded %d executions", count)
            for request in hands.sent:
                row = await rest.find_order(request.symbol, order_link_id=request.order_link_id)
                newest = books.checkpoint.orders.by_key.get(request.order_link_id)
                if row is not None and newest is not None and not row.status.is_open:
                    books.record(unfollowed_orders.of_end(newest, row))
        except ExchangeError as error:
            log.warning("not everything is recorded, the next worker asks for the rest: %s", error)

    def _banned(self, books: RescueBooks | None, ban: Ban) -> None:
        if books is not None:
            books.ban.begin(ban.until_s - self.clock.monotonic_s())
        self.fleet.banned(ban)

    def _owners(self, environment: str, name: str) -> dict[str, Owner]:
        tag = account_tag(environment, name)
        return {
            each.symbol: Owner.of(tag, each.strat_id, self._epoch)
            for each in self.spec.settings.strategies_of(self.spec.account)
            if not each.shadow_mode
        }

    def _answer(self, message: Mapping[str, Any], books: RescueBooks | None, answer: Answer) -> None:
        if books is not None:
            books.record(record_of(message, answer))
            books.recorder.flush()
        self.said.answer({**answer, "recorded": books is not None})

    def on_fault(self, part: str, error: BaseException) -> None:
        log.error("%s failed", part, exc_info=error)
        self.said.alert("error", "fault", f"{part}: {in_words(error)}")


def _fresh_numbers(clock: Clock) -> Generations:
    """From the clock on, which is above all that an account has used; nothing has to be reserved."""

    def reserve(upto: int, safe: Callable[[], None]) -> None:
        safe()

    numbers = Generations(clock.wall_ms() + Generations.BLOCK, reserve)
    numbers.available(1)
    return numbers

"""Whether worker and exchange agree once nothing goes wrong any more, and what the journal says at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gridbot.frames import PREFIX, frame
from gridbot.orders.order import OrderState
from gridbot.records import codec
from gridbot.records.block_reader import bodies_of
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, OrderRecord, Record
from gridbot.records.state_record import StateRecord
from gridbot.risk.symbol_state import Allows
from gridbot.simulation import run_checks
from gridbot.simulation.bounds import sizes, too_large
from gridbot.simulation.money_at_rest import legs_differ, totals_differ
from gridbot.simulation.odd_answers import REALTIME
from gridbot.simulation.scene import ACCOUNT
from gridbot.simulation.stage import Stage
from gridbot.simulation.tape import Tape
from gridbot.worker.orchestrator import Orchestrator

__all__ = ["Agreement"]

RESTING = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)
PRICE_S = 5.0
"""The price trembles each second at rest: who has seen none for so long has not got its public stream back yet."""

READ = tuple(codec.KIND_KEY + kind.TABLE.encode() + b'"' for kind in (ExecutionRecord, CorrectionRecord, OrderRecord))


class Agreement:
    """`find` notes a broken invariant; `is_money_open` says whether an incident about money is open."""

    def __init__(self, stage: Stage, find: Callable[[str, str], None], is_money_open: Callable[[], bool]) -> None:
        self._stage = stage
        self._find = find
        self._is_money_open = is_money_open
        self.tapes: dict[str, Tape] = {}
        self._unrepaired: dict[str, int] = {}
        """Symbols whose money waits for an operator at rest, each with the time (ms) from which on it may be wrong."""
        self._recorded: OpenOrders | None = None
        """What the last worker held for recorded."""

    def money_is_checked(self) -> bool:
        """Whether the worker has the exchange's figure of every execution, or an operator has to look at them first."""
        life = self._stage.life
        if life is None or life.orchestrator is None or self._is_money_open():
            return True
        newest_ms = max((each.time_ms for each in self._stage.venue.account.executions), default=0)
        return life.orchestrator.context.ledger.checked_to >= newest_ms

    def at_rest(self, resumed_after: int) -> None:
        """Everything is quiet: all that has to agree, agrees. `resumed_after`: how many executions there were when an
        operator resumed all; their times may be later than those of what followed."""
        life = self._stage.life
        orchestrator = life.orchestrator if life is not None else None
        if orchestrator is None:
            self._find("standstill-is-told", "no worker trades, minutes after the last fault")
            return
        self.compare_orders(orchestrator)
        self.compare_records(orchestrator.context.recorded)
        self._compare_money(orchestrator)
        account = self._stage.venue.account
        for text in run_checks.mode_is_ours(
            {symbol: account.hedge.get(symbol, False) for symbol in orchestrator.live},
            {symbol for (symbol, idx), leg in account.legs.items() if not idx and leg.size}
            | {order.symbol for order in account.open.values() if not order.request.position_idx}
            | {symbol for symbol, r in orchestrator.live.items() if r.risk_state.paused or r.risk_state.halted}
            | (orchestrator.live.keys() if orchestrator.context.gate.loss_latched else set()),
        ):
            self._find("mode-is-ours", text)
        self._compare_settings(orchestrator)
        for text in too_large(sizes(life.session if life is not None else None)):
            self._find("bounded", text)
        states = {symbol: runner.risk_state for symbol, runner in orchestrator.live.items()}
        held = {symbol: state.paused or bool(state.halted) for symbol, state in states.items()}
        made = list(account.executions)[resumed_after:]
        for text in run_checks.liquidation_pauses(made, held):
            self._find("halted-sends-nothing", text)
        for strat_id, tape in self.tapes.items():
            difference = tape.difference()
            if difference:
                self._find("grid", f"{strat_id}: {difference}")

    def _compare_settings(self, orchestrator: Orchestrator) -> None:
        """What a reload has put in force trades, and its orders are those of the new ladder."""
        refused = {each.strat_id for each in orchestrator.refused}
        in_force = {each.strat_id: each for each in self._stage.reloads.settings.strategies}
        for text in run_checks.other_settings(
            {name: settings for name, settings in in_force.items() if name not in refused},
            {runner.strat_id: runner.settings for runner in orchestrator.runners.values()},
        ):
            self._find("reload-counts", text)
        for runner in orchestrator.live.values():
            ladder, state = runner.engine.ladder(), runner.risk_state
            if ladder is None or state.halted or state.symbol_watch.state.allows is not Allows.ALL:
                continue
            if state.price_s is None or self._stage.loop.now_s - state.price_s > PRICE_S:
                continue  # it decides when a price comes, and has heard of fills meanwhile
            levels = {ticks for ticks, _ in ladder.levels}
            resting = [order.ticks for order in runner.book if not order.withdrawn and order.state in RESTING]
            for text in run_checks.off_the_ladder(runner.strat_id, resting, levels):
                self._find("reload-counts", text)

    def compare_orders(self, orchestrator: Orchestrator) -> None:
        """The books and what rests, also between two troubles."""
        venue = self._stage.venue
        booked = {
            order.link_id: str(order.state)
            for runner in orchestrator.live.values()
            for order in runner.book
            if not order.state.is_final
        }
        refused = {each.symbol for each in orchestrator.refused}  # an alert says so; their orders wait
        ours = [order for order in venue.ours() if order.symbol not in refused | self._unreadable()]
        for name, found in (
            ("one-order-per-level", run_checks.one_order_per_level(ours)),
            ("no-unknown-order", run_checks.no_unknown_order(ours, set(booked))),
            ("books-rest", run_checks.books_rest(booked, {order.link_id for order in venue.open_orders})),
        ):
            for text in found:
                self._find(name, text)

    def compare_records(self, recorded: OpenOrders) -> None:
        """What rests by our records, and what does."""
        self._recorded = recorded
        left_out = self._unreadable()
        live = {
            key: record
            for key, record in recorded.by_key.items()
            if not record.shadow and record.symbol not in left_out
        }
        ours = [order for order in self._stage.venue.ours() if order.symbol not in left_out]
        for text in run_checks.records_rest(live, ours):
            self._find("records-rest", text)

    def _unreadable(self) -> set[str]:
        """Symbols whose listing of orders is never whole: a worker that starts then halts, and takes no order over."""
        strange = self._stage.venue.odd.strange.get(REALTIME)
        return set() if strange is None else {str(strange["symbol"])}

    def _compare_money(self, orchestrator: Orchestrator) -> None:
        account, shadows = self._stage.venue.account, self._stage.shadows
        for text in legs_differ(orchestrator, account, shadows):
            self._find("money", text)
        if self._is_money_open():  # more than what is corrected unasked: an operator has to see it first
            self._unrepaired = run_checks.moved_unseen(account.executions)
        for text in totals_differ(orchestrator, account, shadows, with_realised=not self._unrepaired):
            self._find("money", text)

    # ------------------------------------------------------------------ at the end

    def at_the_end(self) -> None:
        """The worker has stopped: what its journal says."""
        stage, account = self._stage, self._stage.venue.account
        records = self._read_journal()
        recorded = [record for record in records if isinstance(record, ExecutionRecord) and not record.shadow]
        corrections = [record for record in records if isinstance(record, CorrectionRecord)]
        orders = OpenOrders()
        for record in records:
            if isinstance(record, OrderRecord):
                orders.take(record)
        if self._recorded is not None and self._recorded.by_key.keys() != orders.by_key.keys():
            self._find("records-rest", "what the worker holds for recorded is not what its journal has")
        stage.result.counts["corrections"] += len(corrections)
        for text in run_checks.executions_once(account.executions, recorded):
            self._find("executions-once", text)
        for text in run_checks.money_by_execution(account.executions, recorded, corrections, self._unrepaired):
            self._find("money", text)
        for text in run_checks.money_of_coins(account.executions, recorded):
            self._find("money", text)
        taking = [*account.open.values(), *account.closed.values()]
        closes = {order.link_id for order in taking if order.request.time_in_force == "IOC" and order.link_id}
        for text in run_checks.flatten_only_reduces(account.executions, closes):
            self._find("flatten-rules", text)
        for text in run_checks.link_id_once([*account.open.values(), *account.closed.values()]):
            self._find("link-id-once", text)
        stage.result.counts["fills"] += sum(execution.exec_type == "Trade" for execution in account.executions)
        stage.result.counts["orders"] += len(account.open) + len(account.closed)

    def _comparable(self, segments: Iterable[bytes]) -> bytes:
        """The journal with another name for this run's directory; a frame that had it is made anew."""
        directory = str(self._stage.directory).encode()
        frames = [line + b"\n" for line in b"".join(segments).split(b"\n") if line]
        return b"".join(
            frame(line[PREFIX:-1].replace(directory, b"data")) if directory in line else line for line in frames
        )

    def _read_journal(self) -> list[Record | StateRecord]:
        """The records of money and orders."""
        directory = journal_directory(self._stage.directory, ACCOUNT)
        self._stage.result.journal = self._comparable(path.read_bytes() for path in sorted(directory.glob("*.journal")))
        reader, found = JournalReader(directory), []
        while (chunk := reader.read()).bodies:
            for body in chunk.bodies:
                found += [codec.decode_body(each)[1] for each in bodies_of(body) if each.startswith(READ)]
        return found

"""Watches a run and judges it while it goes on: takes what is true of worker and exchange, and asks `run_checks`.

What has to agree when it is quiet, and at the end, is `agreement`.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any

import orjson

from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.state_record import StateRecord
from gridbot.simulation import run_checks, step_checks
from gridbot.simulation import run_watches as watches
from gridbot.simulation.agreement import Agreement
from gridbot.simulation.cap_watches import MarginWatch
from gridbot.simulation.run_checks import Finding
from gridbot.simulation.scene import ACCOUNT
from gridbot.simulation.stage import Stage
from gridbot.simulation.worker_life import Life
from gridbot.worker.standstill import CAPS, EXPECTED, WAITING

__all__ = ["MOST_FINDINGS", "Verdict"]

SETTLED_S = 5.0
PASS_S = 3.0
"""Longer than a comparison with the exchange takes when nothing is wrong."""
PAUSE_GRACE_S = 1.0
STANDSTILL_S = 60.0
FREED_S = 5.0
"""So long after what was told is over, the next price has come, and what was held back has left or is refused anew."""
COVER_S = 10.0
"""Until an incident about refusals names the order that covers a leg: the next look at the exchange comes first."""
MOST_FINDINGS = 5
"""Of one invariant: what breaks one all the time must not hide the others."""
HOLDS = "holds.json"
LOSS, LIQUIDATED, CAPPED = "session_loss_limit", "reduced", "cap_latch"
"""What alerts begin with after which nothing is opened; the symbol follows."""
LATCHES = {LOSS: "latch.json", CAPPED: "caps.json"}
"""Those of the whole account, and the document that keeps each."""
NOTHING_TO_CLOSE = 110017


class Verdict:
    """`findings` grows while the run goes on; of one invariant only the first few are kept."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.findings: list[Finding] = []
        self._seen: set[tuple[str, str]] = set()
        self._held: dict[str, float] = {}
        """Since when nothing of a symbol ("": of any) may be opened, until an operator lifts it."""
        self._latched_by: dict[str, Life] = {}
        """Which life has told last of each of `LATCHES`."""
        limit = stage.world.spec.settings.account(ACCOUNT).caps.max_margin_ratio
        self._margin = MarginWatch(limit, stage.network)
        self._paused: tuple[Life, int] | None = None
        """Who was paused, and the number of what it then kept of it."""
        self._resumed_after = 0
        self._reported_s = 0.0
        self._health = ""
        self._healthy_s = 0.0
        self._said: list[str] = []
        """Texts of the incidents in the newest report."""
        self._wants_since: float | None = None
        self._sent_s, self._alert_s = 0.0, -math.inf
        self._lanes, self._levels = watches.LaneWatch(), watches.LevelWatch(self.find)
        self._incidents, self._unsettled = watches.IncidentWatch(self.find), watches.UnsettledWatch(self.find)
        self._followed = watches.FollowWatch(self.find, stage.network)
        self._bans = watches.BanWatch(self.find)
        self._vain = watches.VainWatch(self.find, stage.network)
        self._maintained = watches.MaintenanceWatch(self.find, stage.network)
        self.agreement = Agreement(stage, self.find, lambda: self._incidents.is_open("money"))
        stage.venue.watchers.append(self._asked)
        stage.venue.answer_watchers.append(self._answered)
        stage.trace.at_s = stage.network.at_s

    def find(self, invariant: str, text: str, *, is_error: bool = False) -> None:
        """Note a broken invariant."""
        found = sum(each.invariant == invariant for each in self.findings)
        if (invariant, text) in self._seen or found >= MOST_FINDINGS:
            return
        self._seen.add((invariant, text))
        self.findings.append(Finding(invariant, text, self._stage.network.at_s(), is_error))
        self._stage.trace.note(f"FOUND {invariant}: {text}")

    def told(self, life: Life, message: dict[str, Any]) -> None:
        """A worker's message to its supervisor."""
        stage = self._stage
        if message["type"] == "alert":
            self._incidents.told(str(message["key"]), str(message["level"]), str(message["text"]), stage.loop.now_s)
        match message["type"]:
            case "alert" if message["level"] == "info":
                what, _, symbol = str(message["key"]).partition(".")
                if what == "refused":
                    self._lanes.ended(symbol, str(message["text"]))
                stage.trace.note(f"alert {message['key']} is over: {message['text']}")
            case "alert":
                stage.result.counts["alerts"] += 1
                stage.trace.note(f"alert {message['key']}: {message['text']}")
                self._alert_s = stage.loop.now_s
                kind, _, symbol = str(message["key"]).partition(".")
                if kind in (LOSS, LIQUIDATED, CAPPED):
                    self._hold(symbol)
                if kind in LATCHES:
                    self._latched_by[kind] = life
            case "health":
                stage.result.counts["reports"] += 1
                before, self._health = self._health, message.get("health", "starting")
                if before != self._health == "healthy":
                    self._healthy_s = self._stage.loop.now_s
                is_trading, reasons = message.get("state") == "trading", message.get("reasons", ())
                self._maintained.reported(reasons, stage.loop.now_s, is_trading=is_trading)
                self._said = [str(incident["text"]) for incident in message.get("incidents", ())]
                if self._said or stage.sharing.is_banned(stage.clock.monotonic_s()):
                    self._alert_s = stage.loop.now_s
                self._watch_standstill(life)

    def life_is_over(self, life: Life) -> None:
        """Nothing more is expected of it."""
        for watch in (self._lanes, self._incidents, self._unsettled, self._vain, self._maintained, self._margin):
            watch.forget()
        latched = [file for kind, file in LATCHES.items() if self._latched_by.get(kind) is life]
        if latched and life.loses_records and not any(file in self._stage.held for file in latched):
            self._held.pop("", None)  # neither disk nor supervisor may have it; what is left of it, it finds again
        self._wants_since = None
        if self._is_pause_lost(life):
            self._held.pop("", None)
        loses = life.loses_records or life.has_unwritten
        for name, tape in self.agreement.tapes.items():
            # What a shadow's venue made and no record has is gone with the process: no exchange tells it again.
            tape.end_life(loses_records=loses or name in self._stage.shadows)

    def commanded(self, name: str) -> None:
        """An operator's command was carried out. What it says holds until the next one, whatever dies meanwhile.

        But a pause that neither journal nor file could take before the death of worker and supervisor is known to
        nobody (docs/risk.md).
        """
        if name in ("pause", "cancel", "flatten", "kill"):
            life = self._stage.life
            if "" not in self._held and life is not None:
                self._paused = life, life.newest_of(HOLDS)
            self._hold("")
        elif name == "resume":
            self._held.clear()
            self._resumed_after = len(self._stage.venue.account.executions)

    def _is_pause_lost(self, life: Life) -> bool:
        """Whether a life that was paused ends, and its supervisor, and a disk that refused it or was cut short has
        nothing of it."""
        if self._paused is None or self._paused[0] is not life or not (life.loses_records and self._paused[1]):
            return False
        if HOLDS in self._stage.held:
            return False
        stage, seq = self._stage, self._paused[1]
        with contextlib.suppress(orjson.JSONDecodeError):  # damaged at an earlier death, and not written since
            if orjson.loads(stage.world.disk.documents.get(HOLDS, b"{}")).get("seq", 0) >= seq:
                return False
        records = JournalReader(journal_directory(stage.directory, ACCOUNT)).read_from(seq)
        return not any(isinstance(record, StateRecord) and record.name == HOLDS for _, record in records)

    def _hold(self, symbol: str) -> None:
        self._held.setdefault(symbol, self._stage.loop.now_s)

    def _watch_standstill(self, life: Life) -> None:
        """Levels want orders, nothing has left or passed for a minute, and health or alerts say nothing."""
        now_s, orchestrator = self._stage.loop.now_s, life.orchestrator
        for lane in self._lanes.shut(now_s):
            self._must_be_told(lane.since_s, str(lane))
            self._must_name_cover(lane)
        last_s, self._reported_s = self._reported_s, now_s
        if now_s - last_s > watches.SILENT_S:
            self._wants_since = None  # it stood still itself
        runners = orchestrator.live.values() if orchestrator is not None else ()
        why = sorted(
            {
                str(why)
                for runner in runners
                for why in runner.placement.refusals
                if why not in EXPECTED and not (why in CAPS and len(runner.book))
            }
        )
        if orchestrator is not None and orchestrator.context.executor.queue.creates.wanted:
            why.append(WAITING)
        if not why:
            self._wants_since = None
            return
        self._wants_since = self._wants_since or now_s
        if now_s - max(self._wants_since, self._sent_s, self._stage.network.create_lost_s) <= STANDSTILL_S:
            return
        self._must_be_told(self._wants_since, f"nothing was sent for a minute though levels want orders: {why}")

    def _must_name_cover(self, lane: watches.ShutLane) -> None:
        """Nothing can be closed where somebody else's order closes it all: which one, an incident has to say."""
        if not lane.closes or lane.code != NOTHING_TO_CLOSE:
            return
        if self._stage.loop.now_s - lane.code_since_s <= COVER_S:
            return  # it was refused for another reason until now
        venue = self._stage.venue
        long_ago_ms = venue.now_ms() - int(COVER_S * 1000)
        covers = [
            order.order_id
            for order in venue.account.open_by_symbol.get(lane.symbol, {}).values()
            if order.request.reduce_only
            and str(order.request.position_idx) == lane.leg
            and order.created_ms < long_ago_ms
            and not venue.is_ours(order)
        ]
        if covers and not any(order_id in text for order_id in covers for text in self._said):
            self.find("standstill-is-told", f"no incident names what covers the leg, such as {covers[0]}; {lane}")

    def _must_be_told(self, since_s: float, why: str) -> None:
        is_well = self._health == "healthy" and self._stage.loop.now_s - self._healthy_s > FREED_S
        for silent, what in (
            (is_well, "health is healthy"),
            (self._alert_s < since_s, "no alert has said why"),
        ):
            if silent:
                self.find("standstill-is-told", f"{what}; {why}")

    def _answered(self, row: dict[str, object], code: int) -> None:
        """The exchange has answered a create, perhaps one of a life that is over."""
        if self._stage.life is not None and row.get("timeInForce") != "IOC":
            self._lanes.answered(row, code, self._stage.loop.now_s)
            self._vain.answered(row, code, self._stage.loop.now_s)

    def watch(self) -> None:
        """Look at books and exchange if nothing is under way and the last trouble is over."""
        stage, life = self._stage, self._stage.life
        orchestrator = life.orchestrator if life is not None else None
        if life is not None and stage.loop.is_stalled(life):
            stage.network.trouble_s = stage.loop.now_s
            return
        self._bans.look(orchestrator, stage.loop.now_s)
        figures = stage.venue.exchange.totals(stage.venue.account)
        self._margin.look(figures.maintenance, figures.equity, stage.loop.now_s)
        if stage.venue.odd.strange or stage.venue.odd.unlisted:
            self._followed.look(orchestrator, stage.loop.now_s, is_away=stage.loop.now_s < stage.away_until_s)
        if orchestrator is None or life is None:
            return
        for name, text in step_checks.of_moment(orchestrator):
            self.find(name, text)
        if len(orchestrator.runners) > len(orchestrator.live):
            known = orchestrator.context.funds, orchestrator.context.shadows.gate.state.funds
            for text in run_checks.shadow_is_fresh(known[0].known_s, known[1].known_s):
                self.find("shadow-is-fresh", text)
        streams = orchestrator.streams.health
        if not (streams.private.is_ready and streams.public.is_ready):
            stage.network.trouble_s = stage.loop.now_s
        lacking = [order.key for runner in orchestrator.live.values() for order in runner.book.unsettled()]
        ban = orchestrator.context.executor.ban
        is_banned = ban is not None and ban.is_on(orchestrator.context.clock.monotonic_s())
        self._unsettled.look(lacking, stage.loop.now_s, stage.network.waited_for_s(), is_banned=is_banned)
        if not life.is_quiet or stage.wires.under_way:
            return
        since_s = stage.network.trouble_s
        last_s = orchestrator.reconciler.last_s
        if last_s is None or last_s < since_s + SETTLED_S + PASS_S:
            return
        self.agreement.compare_orders(orchestrator)

    def _asked(self, path: str, row: dict[str, object], sent_s: float) -> None:
        """A request that creates or ends an order is at the exchange."""
        stage = self._stage
        if "cancel" in path or "amend" in path:
            order = stage.venue.account.find(str(row.get("orderId") or ""), str(row.get("orderLinkId") or ""))
            if order is not None and not stage.venue.is_ours(order):
                self.find("foreign-untouched", f"{path} of {order.order_id}, which the worker did not create")
            stage.result.counts["cancels"] += 1
            return
        stage.result.counts["creates"] += 1
        self._sent_s = sent_s
        if row.get("timeInForce") == "IOC":  # of flattening: it takes no level, and rests nowhere
            if not row.get("reduceOnly") or row.get("positionIdx") not in (1, 2):
                self.find("flatten-rules", f"{row.get('orderLinkId')} does not only reduce a leg: {row}")
            return
        self._levels.asked(row, stage.loop.now_s)
        held = [since_s for symbol, since_s in self._held.items() if symbol in ("", row.get("symbol"))]
        if held and sent_s > min(held) + PAUSE_GRACE_S and not row.get("reduceOnly"):
            self.find(
                "halted-sends-nothing",
                f"{row.get('orderLinkId')} opens, sent {sent_s - min(held):.1f} s after the halt",
            )

        if self._margin.is_known(sent_s) and not row.get("reduceOnly"):
            self.find("halted-sends-nothing", f"{row.get('orderLinkId')} opens though the margin ratio is too high")

    def at_rest(self) -> None:
        """Everything is quiet: all that has to agree, agrees."""
        self.agreement.at_rest(self._resumed_after)

"""Watches the caps of an account beside the session loss limit, and carries out what groups and fleet say: brakes the
gate, alerts, saves.

    max_drawdown        `risk/drawdown.py`: latches until an operator resumes the account
    max_margin_ratio    `risk/margin_brake.py`: nothing opens while the ratio is high
    groups and fleet    `fleet_share.py`: a share of their notional, and a latch of theirs

Memory comes first, journal and file (`caps.json`) after, as with the loss limit. A document that does not say whether
the account is latched latches it. What a brake means for orders is carried out by `Orchestrator.guard_losses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from gridbot.config.account_models import AccountCaps
from gridbot.core.limits import OnBreach
from gridbot.incidents import Name, Standing
from gridbot.risk.brake import FREE, Brake, Stops, strictest
from gridbot.risk.caps import WARN_AT
from gridbot.risk.drawdown import (
    Cleared,
    DrawdownRule,
    DrawdownState,
    Event,
    Latched,
    Restored,
    Seen,
    TwoLooks,
    Unknown,
    step,
    used,
)
from gridbot.risk.fleet_share import SILENT_S, CapHold, FleetShare
from gridbot.risk.margin_brake import BrakeState, Ratio
from gridbot.risk.margin_brake import step as brake_step
from gridbot.state.documents import StopFile, Unreadable
from gridbot.worker.account_figures import AccountFigures, Figures
from gridbot.worker.context import WorkerContext
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["GUARD_S", "VERSION", "CapGuard"]

VERSION: Final = 1
GUARD_S: Final = 0.5
CLOSELY_S: Final = 0.25
"""Where there are caps that follow prices."""
SAVED_STEP: Final = Decimal("0.01")
"""Part of the limit by which the peak may be higher than the one on the disk."""
ZERO = Decimal(0)
_STOPS = {OnBreach.REDUCE: Stops.OPENS, OnBreach.CANCEL: Stops.ALL, OnBreach.FLATTEN: Stops.ALL}
_THEN = {
    OnBreach.REDUCE: "nothing is opened",
    OnBreach.CANCEL: "nothing is sent",
    OnBreach.FLATTEN: "all is closed and nothing is sent",
}

Row = dict[str, Any]


class CapGuard:
    """One per account. `tell` gives a message to the supervisor; None where there is none that shares anything."""

    def __init__(
        self,
        caps: AccountCaps,
        file: StopFile,
        context: WorkerContext,
        losses: LossGuard,
        *,
        resume: str,
        scopes: Mapping[str, bool] | None = None,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._caps = caps
        self._file = file
        self._context = context
        self._losses = losses
        self._tell = tell
        self._resume = resume
        self._rule = DrawdownRule(caps.max_drawdown, "max_drawdown", f"{_THEN[caps.on_breach]} until {resume}")
        self._state = DrawdownState()
        self._margin = BrakeState()
        self._fleet = FleetShare(scopes or {} if tell is not None else {})
        self._figures = AccountFigures()
        self._now = Figures(ZERO)
        self._equities, self._ratios = TwoLooks(), TwoLooks()
        self._pair: tuple[Decimal, Decimal] | None = None
        self._saved_peak = ZERO
        self._began_s = context.clock.monotonic_s()
        self._action = caps.on_breach
        """What the account's own latch does; as it was when it latched."""
        self._is_counted = False

    def limit(self, caps: AccountCaps) -> None:
        """Other caps of the account count from now on; a latch stays, and what it does."""
        self._caps = caps
        self._rule = DrawdownRule(caps.max_drawdown, "max_drawdown", f"{_THEN[caps.on_breach]} until {self._resume}")
        if not self._state.latched:
            self._action = caps.on_breach

    # ------------------------------------------------------------------ life

    def load(self, word: Mapping[str, Any] | None = None) -> None:
        """Continue where an earlier run stopped: latched stays latched. Before the first order.

        `word` is what the supervisor had to say at the start. Never raises for what is on the disk.
        """
        try:
            earlier = self._file.load_as(_read)
        except Unreadable as error:
            then = f"{_THEN[OnBreach.REDUCE]} until {self._resume}"
            reason = f"{error}, so it is unknown whether a cap holds the account; {then}"
            self._action = OnBreach.REDUCE  # nobody has asked for more
            self._latched(self._step(Unknown(reason, self._context.clock.wall_ms())))
        else:
            if earlier is not None:
                state, self._action, held = earlier
                self._fleet.restore(held)
                self._step(Restored(state))
                self._saved_peak = state.peak or ZERO
        if word is not None and self._fleet.hear(word, ZERO, self._context.clock.monotonic_s()):
            self._save()
        self._brake()

    def clear(self) -> None:
        """An operator resumes the account: all latches of caps end, and what they count begins anew."""
        had = bool(self._state.latched or self._fleet.held)
        self._step(Cleared())
        self._action = self._caps.on_breach
        self._equities = TwoLooks()
        self._fleet.clear()
        self._brake()
        if had or self._is_watched:
            self._save()
        self._context.alert.over("cap_latch", "the account may trade again: an operator has resumed it")
        self._say()

    @property
    def every_s(self) -> float:
        """How often to look: a latch has to be there within two seconds, and two looks are believed."""
        return CLOSELY_S if self._is_watched or self._fleet.is_capped else GUARD_S

    @property
    def is_flattening(self) -> bool:
        """Whether a latch wants all positions closed."""
        return OnBreach.FLATTEN in self._actions()

    # ------------------------------------------------------------------ twice a second, and with each word

    def check(self, live: Iterable[StrategyRunner], *, is_counted: bool = True) -> Brake:
        """Look at the figures, brake the gate, tell the supervisor; what is stopped now.

        `is_counted`: whether positions and orders were read from the exchange since the start.
        """
        context, self._is_counted = self._context, is_counted
        if not (self._is_watched or self._fleet.is_capped or self._state.latched or self._fleet.held):
            return context.gate.brake  # the usual case: nothing is configured
        now_s, now_ms = context.clock.monotonic_s(), context.clock.wall_ms()
        self._now = figures = self._figures.look(live, context.funds.wallet, now_s)
        if figures.equity is not None:
            self._pair = low, high = self._equities.take(figures.equity)
            self._latched(self._step(Seen(low, high, now_ms)))
            self._save_peak()
        if figures.margin_ratio is not None:
            ratios = self._ratios.take(figures.margin_ratio)
            self._margin = brake_step(self._margin, Ratio(*ratios, now_ms, now_s), self._caps.max_margin_ratio)
        self._brake()
        if any(now >= WARN_AT * most for _, now, most in self._own_use()):
            context.requests.refresh_wallet()  # not more often than every ten seconds
        self._say()
        return context.gate.brake

    def on_word(self, word: Mapping[str, Any], live: Iterable[StrategyRunner]) -> None:
        """The supervisor lends shares and says what holds the account. `check` has to follow."""
        used = sum((runner.risk_state.notional() for runner in live), ZERO)
        if self._fleet.hear(word, used, self._context.clock.monotonic_s()):
            self._brake()
            self._save()  # the alert is the supervisor's: one for all
        self._context.gate.lent(self._fleet.share(self._context.clock.monotonic_s()))

    # ------------------------------------------------------------------ what is shown

    def standing(self) -> dict[Name, Standing]:
        """The incidents that stand: latches, the brake, and what is 80 % used."""
        found: dict[Name, Standing] = {}
        for name, now, most in self._own_use():
            if now >= WARN_AT * most and name != "max_notional":  # of that one the gate warns
                found[Name(f"cap.account.{name}")] = Standing("warning", f"account.{name}: {_percent(now, most)} used")
        if self._state.latched:
            found[Name("cap_latch")] = Standing("error", self._state.latched)
        if self._margin.reason:
            found[Name("only_reduces")] = Standing("error", self._margin.reason)
        if silence := self._silence():
            found[Name("caps_silent")] = Standing("warning", silence)
        return found

    def rows(self) -> list[Row]:
        """Each cap of the account, for the health report: used and limit as text, and what it holds."""
        rows: list[Row] = []
        for name, now, most in self._own_use():
            rows.append({"cap": name, "used": _text(now), "limit": _text(most), "share": _share(now, most)})
        share = self._fleet.share(self._context.clock.monotonic_s())
        if share is not None:
            now = self._now.notional
            rows.append(
                {"cap": "share of fleet", "used": _text(now), "limit": _text(share), "share": _share(now, share)}
            )
        return rows

    def reasons(self) -> list[str]:
        """Why nothing opens, of what no other part tells."""
        silence = self._silence()
        return [silence] if silence else []

    # ------------------------------------------------------------------ inside

    def _silence(self) -> str:
        """That the supervisor has said nothing for too long; empty while it has."""
        now_s = self._context.clock.monotonic_s()
        if not self._fleet.is_silent(now_s) or now_s - self._began_s <= SILENT_S:
            return ""
        return "the supervisor has said nothing about the caps of groups and fleet for ten seconds: nothing is opened"

    @property
    def _is_watched(self) -> bool:
        caps = self._caps
        return any(cap is not None for cap in (caps.max_drawdown, caps.max_margin_ratio, caps.max_notional))

    def _actions(self) -> list[OnBreach]:
        own = [self._action] if self._state.latched else []
        return own + [hold.action for hold in self._fleet.held.values()]

    def _latches(self) -> list[str]:
        own = [self._state.latched] if self._state.latched else []
        return own + [self._words_of(scope, hold) for scope, hold in self._fleet.held.items()]

    def _words_of(self, scope: str, hold: CapHold) -> str:
        return f"{scope}: {hold.reason}; {_THEN[hold.action]} until {self._resume}"

    def _own_use(self) -> list[tuple[str, Decimal, Decimal]]:
        """Name, what is used and the limit of each cap of the account that has one."""
        found: list[tuple[str, Decimal, Decimal]] = []
        loss = self._losses.used()
        if loss is not None:
            found.append(("session_loss_limit", *loss))
        fall = None if self._pair is None else used(self._state, self._pair[1], self._rule)
        if fall is not None:
            found.append(("max_drawdown", fall.fall, fall.most))
        if self._caps.max_margin_ratio is not None and self._now.margin_ratio is not None:
            found.append(("max_margin_ratio", self._now.margin_ratio, self._caps.max_margin_ratio))
        if self._caps.max_notional is not None:
            found.append(
                ("max_notional", self._now.notional, self._caps.max_notional.resolve(self._now.wallet or ZERO))
            )
        return found

    def _brake(self) -> None:
        """Have the gate follow."""
        gate = self._context.gate
        reason = "; ".join(self._latches())
        brakes = [Brake(_STOPS[action], reason) for action in self._actions()]
        if self._margin.reason:
            brakes.append(Brake(Stops.OPENS, self._margin.reason, passes=True))
        found = strictest(brakes) if brakes else FREE
        if found != gate.brake:
            gate.braked(found)
        if (share := self._fleet.share(self._context.clock.monotonic_s())) != gate.state.share:
            gate.lent(share)

    def _step(self, event: Event) -> Latched | None:
        self._state, latched = step(self._state, event, self._rule)
        return latched

    def _latched(self, latched: Latched | None) -> None:
        if latched is not None:
            self._brake()
            self._context.alert("error", "cap_latch", latched.reason)
            self._save()

    def _save_peak(self) -> None:
        """A peak that is a little higher need not be safe at once: the next start would count from a little lower."""
        peak, limit = self._state.peak, self._rule.limit
        if peak is not None and limit is not None and abs(peak - self._saved_peak) > limit.resolve(peak) * SAVED_STEP:
            self._save()

    def _save(self) -> None:
        self._saved_peak = self._state.peak or ZERO
        held = {scope: hold.to_document() for scope, hold in self._fleet.held.items()}
        own = {"drawdown": self._state.to_document(), "action": str(self._action)}
        self._file.save({"version": VERSION, **own, "held": held})

    def _say(self) -> None:
        """The figures, for the caps of groups and fleet."""
        if self._tell is None or not self._fleet.is_capped:
            return
        low, high = self._pair or (None, None)
        self._tell(
            {
                "type": "caps",
                **self._fleet.said(),
                "used": str(self._now.notional) if self._is_counted else None,
                "short": str(self._context.gate.take_short()),
                "wallet": None if self._now.wallet is None else str(self._now.wallet),
                "equity": None if low is None else [str(low), str(high)],
                "result": str(self._losses.result()),
                "counted_from": self._losses.counted_from,
            }
        )


def _read(document: Mapping[str, Any]) -> tuple[DrawdownState, OnBreach, dict[str, CapHold]]:
    """Raises KeyError, TypeError, ValueError, AttributeError or ArithmeticError for any other document."""
    if document["version"] != VERSION:
        raise ValueError(f"expected version {VERSION}, got {document['version']!r}")
    held = {str(scope): CapHold.from_document(row) for scope, row in document["held"].items()}
    return DrawdownState.from_document(document["drawdown"]), OnBreach(document["action"]), held


def _share(now: Decimal, most: Decimal) -> float | None:
    """Part of the limit that is used; None for a limit of 0."""
    return round(float(now / most), 4) if most > 0 else None


def _percent(now: Decimal, most: Decimal) -> str:
    return f"{now / most * 100:.0f} %" if most > 0 else "all"


def _text(value: Decimal) -> str:
    return f"{round(value, 4).normalize():f}"

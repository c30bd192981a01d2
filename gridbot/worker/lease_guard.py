"""What a worker of a fleet does about its lease: it stops before the end, and goes on when it is renewed.

Whether a request may leave is asked of the `LeaseWatch` by whoever sends it. Here the strategies hear of it, so that
they ask for nothing meanwhile; people do, by an incident and a reason against health; and with `on_lease_lost: cancel`
all orders are withdrawn shortly before the end, while that can still be sent.

    holds ──1.5 s before the end, not renewed, `cancel`──► withdrawing ──end──► lapsed ──renewed──► holds
      └───────────────────────────────end──────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gridbot.incidents import Name, Standing
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.orders.ids import parse
from gridbot.worker.context import WorkerContext
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["CANCEL_S", "LeaseGuard"]

CANCEL_S = 1.5
"""So long before the end orders are withdrawn: two more looks, and the requests leave at once."""
LOOK_S = 0.25
"""How often a worker of a fleet looks at its lease."""


class LeaseGuard:
    """One per account; without a lease it does nothing. `live` are its live strategies by symbol, as of now."""

    def __init__(self, context: WorkerContext, live: Mapping[str, StrategyRunner], *, cancels: bool) -> None:
        self._context = context
        self._lease: LeaseWatch | None = context.lease
        self._live = live
        self._cancels = cancels
        self._stopped = False
        self._superseded: Callable[[str], None] = lambda text: None
        self.why = ""
        """Why nothing may be sent; empty while something may."""

    def tell(self, superseded: Callable[[str], None]) -> None:
        """Have a function called, once, when another holder trades the account though the lease is ours."""
        self._superseded = superseded

    def every_s(self, usual_s: float) -> float:
        """How long the worker may wait before it looks again."""
        return usual_s if self._lease is None else min(usual_s, LOOK_S)

    def look(self) -> None:
        """Stop the strategies when the lease ends, and let them go on when it is back."""
        lease = self._lease
        if lease is None:
            return
        self.why = "" if lease.may_send() else lease.why_not()
        is_near = self._cancels and not self.why and lease.left_s() < CANCEL_S
        if self.why or is_near:
            self._stop(self.why or "the account's lease is about to end and was not renewed", withdraw=is_near)
        elif self._stopped:
            self._go_on()

    def saw(self, link_id: str) -> None:
        """An order of this id is at the exchange: a later holder's means that we are none any more."""
        lease = self._lease
        if lease is None or not link_id.startswith(self._context.account_tag):
            return
        found = parse(link_id)
        if found is not None and found.epoch > lease.epoch:
            # After the end of our lease it is as it should be: another host has the account, and ours will hear of it.
            is_news = lease.left_s() > 0 and not lease.superseded_by
            lease.supersede(found.epoch)
            self.look()
            if is_news:
                self._superseded(self.why)

    def standing(self) -> dict[Name, Standing]:
        """The incident, while nothing may be sent."""
        return {Name("lease"): Standing("error", self.why)} if self.why else {}

    def row(self) -> dict[str, object] | None:
        """For the report; None without a fleet."""
        lease = self._lease
        if lease is None:
            return None
        return {"epoch": lease.epoch, "left_s": round(lease.left_s(), 1), "why": self.why}

    # ------------------------------------------------------------------ inside

    def _stop(self, why: str, *, withdraw: bool) -> None:
        is_new = not self._stopped
        self._stopped = True
        for symbol, runner in self._live.items():
            with self._context.faults.contained(f"{symbol}: the end of the lease", symbol):
                if is_new or runner.risk_state.ready:
                    runner.risk_state.set_ready(ready=False, why=why)
                if withdraw:
                    runner.orders.cancel_all("lease_lost")
        if is_new and self.why:
            self._context.alert("error", "lease", self.why)

    def _go_on(self) -> None:
        self._stopped = False
        self._context.requests.reconcile("the account's lease is back")
        for symbol, runner in self._live.items():
            with self._context.faults.contained(f"{symbol}: the lease is back", symbol):
                runner.ready()

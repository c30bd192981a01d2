"""Caps of accounts whose worker does not carry them out: it is ended, and a rescue does what they say."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from gridbot import background
from gridbot.core.limits import OnBreach
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.caps.own_caps import OwnCaps
from supervisor.children.child import Child
from supervisor.children.fleet import Fleet
from supervisor.children.policy_types import Hung
from supervisor.control.socket_protocol import Json
from supervisor.process.child_alerts import Alerts
from supervisor.process.membership import Membership

__all__ = ["CapRescues"]

log = logging.getLogger("supervisor")


class CapRescues:
    """One per supervisor. `capped` has a rescue do it (`Operations.capped`)."""

    def __init__(
        self,
        fleet: Fleet,
        workers: Mapping[str, Child],
        membership: Membership,
        caps: CapsKeeper,
        capped: Callable[[str, OnBreach, str], Awaitable[Json]],
        alerts: Alerts,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._fleet = fleet
        self._workers = workers
        self._membership = membership
        self._caps = caps
        self._capped = capped
        self._alerts = alerts
        self._is_stopping = is_stopping
        self._own = OwnCaps()

    def look(self, now: float) -> None:
        """Where nobody watches a cap of an account that is nearly used, nothing may open."""
        if self._is_stopping():
            return
        self._fleet.catch_up()
        for account, why in self._own.look(self._membership.beside_their_caps(), now).items():
            self.enforce(account, OnBreach.REDUCE, why)

    def enforce(self, account: str, action: OnBreach, why: str) -> None:
        """End the worker, and have done what `action` says; `why` is for the operator."""
        worker = self._workers.get(account)
        if worker is None:
            return  # it has left
        self._fleet.advance(worker, Hung(why))
        background.start(self._done_without(worker, action, why), name=f"the cap of {account}")

    async def _done_without(self, worker: Child, action: OnBreach, why: str) -> None:
        answer = await self._capped(worker.spec.account, action, why)
        if answer["ok"]:
            log.warning("%s: a rescue did what the cap wants: %s", worker.spec.name, answer["result"])
        else:
            text = f"what a cap of its account wants is not done without the worker: {answer['error']}"
            self._alerts.add(worker, "ERROR", text, "cap_rescue")
            self._caps.not_done(worker.spec.account)

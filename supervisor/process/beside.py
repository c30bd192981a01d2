"""The processes beside the fleet: the page's, the one that tells people of alerts, and the one of Telegram."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gridbot.incidents import Name, Standing
from supervisor.children.child import Child
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launch_plan import Plan
from supervisor.children.launcher import Launcher
from supervisor.process.notify_keeper import NotifyKeeper
from supervisor.process.own_faults import Faults
from supervisor.process.side_keeper import SideKeeper
from supervisor.process.start_order import StartOrder
from supervisor.process.stop_order import StopOrder
from supervisor.process.telegram_keeper import TelegramKeeper
from supervisor.process.web_keeper import WebKeeper

__all__ = ["Beside"]

LAST_NEWS_S: Final = 5.0
"""How long an orderly end waits for the messages of its last minute."""


class Beside:
    """Owns the keepers. One that fails is no concern of the others."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        launch: LaunchArguments,
        faults: Faults,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        may_run: Callable[[str], bool],
    ) -> None:
        """`may_run`: whether the process of that name may run here, where one host does it for a whole fleet."""
        shared = (launcher, launch, faults.report, clock, jitter, may_run)
        self.web, self.notify = WebKeeper(plan.web, *shared), NotifyKeeper(plan.notify, *shared)
        self.telegram = TelegramKeeper(plan.telegram, *shared)
        self._faults = faults
        self._all: tuple[SideKeeper, ...] = (self.web, self.notify, self.telegram)

    def follow(self, before: Plan, plan: Plan) -> Plan:
        """After a reload: those whose section of the configuration is another one begin anew; the page never does.

        Returns the new plan, which is in force.
        """
        for keeper, spec in ((self.notify, plan.notify), (self.telegram, plan.telegram)):
            if getattr(before.config, keeper.name, None) != getattr(plan.config, keeper.name, None):
                self._faults.attempt(f"{keeper.name}: other settings", lambda it=keeper, of=spec: it.follow(of))  # type: ignore[misc]
        return plan

    def look(self, starting: StartOrder, stopping: StopOrder) -> None:
        """Let time pass for each."""
        for each in self._all:
            self._faults.attempt(f"looking after {each.name}", lambda it=each: it.look(starting, stopping))  # type: ignore[misc]

    def standing(self) -> dict[Name, Standing]:
        """The incidents of those that people rely on and that are away."""
        return {name: text for each in self._all for name, text in each.standing().items()}

    def fails(self, process: str) -> bool:
        """Whether the process of that name is away, and does not come back by itself soon."""
        return any(each.name == process and each.is_away for each in self._all)

    async def end_one(self, process: str, within_s: float) -> None:
        """Ask the process of that name to end, and kill it after so many seconds."""
        for each in self._all:
            if each.name == process:
                await each.let_end(within_s)
                each.kill_now()

    @property
    def children(self) -> tuple[Child | None, ...]:
        """Of the page, of the messages, and of Telegram."""
        return self.web.child, self.notify.child, self.telegram.child

    def pids(self) -> set[int]:
        """Of their processes."""
        return set().union(*(each.pids() for each in self._all))

    def stalled(self) -> None:
        """The supervisor did not run for a while."""
        for each in self._all:
            each.stalled()

    async def end(self, *, forced: bool) -> None:
        """Those who have something to put in order may do so, unless the end is by force."""
        if not forced:
            await self.notify.let_end(LAST_NEWS_S)

    def kill_now(self) -> None:
        for each in self._all:
            each.kill_now()

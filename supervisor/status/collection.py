"""From what the supervisor holds to the status model of `supervisor.status.model`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import psutil

from gridbot.version import __version__
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launch_plan import Plan
from supervisor.children.policy_types import ProcessState
from supervisor.status.model import ChildFacts, SupervisorFacts, build_status
from supervisor.status.program_revision import REVISION
from supervisor.utc_time import utc_now

__all__ = ["status_of", "supervisor_facts"]


def supervisor_facts(
    plan: Plan, state: str, uptime_s: float, alerts: Sequence[dict[str, Any]], incidents: Sequence[dict[str, Any]]
) -> SupervisorFacts:
    """What is known of this process; `state` is starting, running or stopping."""
    return SupervisorFacts(
        pid=os.getpid(),
        version=__version__,
        revision=REVISION,
        state=state,
        uptime_s=uptime_s,
        data_dir=str(plan.data_dir),
        config=plan.config_path,
        run_id=plan.run_id,
        rss=psutil.Process().memory_info().rss,
        time=utc_now(),
        alerts=alerts,
        incidents=incidents,
        host=plan.host,
    )


def status_of(
    now: float,
    own: SupervisorFacts,
    fleet: Fleet,
    plan: Plan,
    launch: LaunchArguments,
    web: Child | None = None,
    notify: Child | None = None,
    telegram: Child | None = None,
) -> dict[str, Any]:
    """The whole model; `now` is the clock of the children's states, the last three are those beside the fleet."""

    writer_runs = any(child.state.process is ProcessState.RUNNING for child in fleet.of_kind(ChildKind.WRITER))

    def facts(child: Child) -> ChildFacts:
        account = child.spec.account
        return ChildFacts(
            name=child.spec.name,
            state=child.state,
            pid=child.pid,
            health=child.health,
            last_exit=child.last_exit,
            account=account,
            strategies=[dict(row) for row in plan.strategies.get(account, ())],
            groups=plan.groups.get(account, ()),
            by_queue=writer_runs,
            counts=child.counts,
        )

    of_kind = {kind: [facts(child) for child in fleet.of_kind(kind)] for kind in ChildKind}
    writer, paper = of_kind[ChildKind.WRITER], of_kind[ChildKind.PAPER]
    return build_status(
        now,
        own,
        of_kind[ChildKind.WORKER],
        writer[0] if writer else None,
        paper[0] if paper else None,
        paper_url=launch.paper_url,
        web=None if web is None else facts(web),
        notify=None if notify is None else facts(notify),
        telegram=None if telegram is None else facts(telegram),
    )

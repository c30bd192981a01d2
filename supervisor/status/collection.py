"""From what the supervisor holds to the status model of `supervisor.status.model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from supervisor.children.child import Child, ChildKind
from supervisor.children.launch_plan import Plan
from supervisor.children.queues import QueueLedger
from supervisor.status.model import ChildFacts, SupervisorFacts, build_status

__all__ = ["status_of"]


def status_of(
    now: float,
    own: SupervisorFacts,
    children: Sequence[Child],
    plan: Plan,
    queues: QueueLedger,
    *,
    paper_url: str | None,
) -> dict[str, Any]:
    """The whole model; `now` is the clock of the children's states."""

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
            by_queue=bool(account) and queues.usable(account),
        )

    of_kind = {kind: [facts(child) for child in children if child.spec.kind is kind] for kind in ChildKind}
    writer, paper = of_kind[ChildKind.WRITER], of_kind[ChildKind.PAPER]
    return build_status(
        now,
        own,
        of_kind[ChildKind.WORKER],
        writer[0] if writer else None,
        paper[0] if paper else None,
        paper_url=paper_url,
    )

"""A supervisor process for tests, with small children: `python -m tests.supervisor.run_plan PLAN.json`.

Each child imports this module again, as that of its parent, so the supervisor is imported where it is used.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def child(row, defaults):
    from supervisor.children.child_spec import ChildKind, ChildSpec
    from supervisor.children.policy_types import RestartPolicy

    policy = RestartPolicy(**{**defaults, **row.pop("policy", {})})
    kind = ChildKind(row.pop("kind"))
    entry = f"tests.supervisor.child_programs:{row.pop('entry')}"
    return ChildSpec(kind=kind, entry=entry, args=tuple(row.pop("args")), policy=policy, **row)


def main():
    import asyncio
    import logging

    from supervisor.children.launch_plan import Plan
    from supervisor.exit_codes import CommandError
    from supervisor.process.loop import Supervisor

    described = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    plan = Plan(
        data_dir=Path(described["data_dir"]),
        children=tuple(child(row, described["policy"]) for row in described["children"]),
        strategies={"a": [{"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live"}]},
        run_id="r",
        warnings=described["warnings"],
    )
    try:
        code = asyncio.run(Supervisor(plan).run())
    except CommandError as error:
        print(error.text, file=sys.stderr)
        code = error.code
    sys.exit(int(code))


if __name__ == "__main__":
    main()

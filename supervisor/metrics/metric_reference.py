"""docs/metrics.md, made from the catalogue: `python -m supervisor.metrics.metric_reference > docs/metrics.md`."""

from __future__ import annotations

import sys
from typing import Final

from supervisor.metrics.account_metrics import ACCOUNT_METRICS
from supervisor.metrics.fleet_metrics import FLEET_METRICS, UP
from supervisor.metrics.host_metrics import HOST_METRICS
from supervisor.metrics.metric_types import LABELS, Metric
from supervisor.metrics.strategy_metrics import STRATEGY_METRICS

__all__ = ["page"]

HEAD: Final = """# Metrics

Made by `python -m supervisor.metrics.metric_reference > docs/metrics.md`; do not edit by hand. How to scrape them, the
Grafana board and the alerts: `docs/deployment.md` 5.

Everything comes from the status model, the one that is shown as JSON, too; no scrape reads the database. What it does
not know now, such as the equity of an account whose worker is down, has no sample. While the supervisor does not
answer, `gridbot_up` is 0 and all else is absent.

Counters are added up by the supervisor over all lives of a process: they do not go back when a worker dies (what it
counted after its last report, a second at most, is lost). They begin at 0 with the supervisor, but for
`gridbot_strategy_fills_total`, which is as old as the strategy.

**Of a fleet of several hosts** scrape each one. A host exports its own processes, accounts and strategies, and nothing
of those that other hosts have: a sum over all hosts counts each account once. An account that moves goes on in the
metrics of its new host; its counters begin at 0 there. What has the label `host` is the fleet as the scraped host sees
it, the same from all of them: take `max by (host)`, not a sum. Without a fleet there are no samples of it.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, metrics in (
        ("Fleet, processes and database", (UP, *FLEET_METRICS)),
        ("Several hosts", HOST_METRICS),
        ("Accounts", ACCOUNT_METRICS),
        ("Strategies", STRATEGY_METRICS),
    ):
        parts += [
            f"\n## {title}\n",
            "| name | kind | unit | labels | what it is | of the model |",
            "|---|---|---|---|---|---|",
        ]
        parts += map(_row, metrics)
    parts += [
        "\n## Labels\n",
        "No label has values that others could make up.\n",
        "| label | its values |",
        "|---|---|",
    ]
    parts += [f"| `{label.name}` | {_values(label.bound, label.values)} |" for label in LABELS.values()]
    return "\n".join(parts) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.doc} | `{metric.source}` |"


def _values(bound: str, values: frozenset[str]) -> str:
    return f"{bound}: {', '.join(f'`{value}`' for value in sorted(values))}" if values else bound


if __name__ == "__main__":
    sys.stdout.write(page())

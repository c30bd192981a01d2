"""What a metric is: an entry of the catalogue, and how its samples are read from the status model. Pure.

A reader gets the whole model and tells (values of the labels, in their order; value). What a model does not have is no
sample: a gap in a graph says more than a zero that nobody has measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any, Final

from gridbot.core.strict_numbers import decimal_or_none
from gridbot.risk.refusals import Refusal
from supervisor.children.policy_types import ProcessState
from supervisor.status.model import AccountHealth, Freshness, StrategyState

__all__ = ["LABELS", "Buckets", "Json", "Kind", "Label", "Metric", "number", "one_of"]

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Counts of a histogram: upper ends in seconds, one count for each and one for what took longer, and the sum."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float


Sample = tuple[tuple[str, ...], float | Buckets]
Reader = Callable[[Json], Iterable[Sample]]


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """`bound`: what its values are and why they have an end; `values`: all of them, where they are known here."""

    name: str
    bound: str
    values: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Metric:
    """One name of the catalogue. A counter's ends in `_total`; `unit` is the unit in its name, "" for a bare count."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    doc: str
    source: str
    """Where in the status model it comes from."""
    read: Reader


def number(value: Any) -> float | None:
    """A figure of the model, which has money as text; None for none."""
    if value is None or isinstance(value, bool):
        return None if value is None else float(value)
    found = decimal_or_none(str(value))
    if found is None:
        return None
    finite = float(found)
    return finite if isfinite(finite) else None


def one_of(label: str, value: Any) -> str:
    """The value of a label; "other" for one that is not among those it can have."""
    text, known = str(value), LABELS[label].values
    return text if not known or text in known else OTHER


OTHER: Final = "other"
_CAPS = ("session_loss_limit", "max_drawdown", "max_margin_ratio", "max_notional", "share of fleet")


def _label(name: str, bound: str, values: Iterable[str] = ()) -> Iterator[tuple[str, Label]]:
    yield name, Label(name, bound, frozenset(values))


LABELS: Final[dict[str, Label]] = dict(
    row
    for rows in (
        _label("account", "the accounts of the configuration"),
        _label("strategy", "the strategies (`strat_id`) of the configuration"),
        _label(
            "process",
            "the processes of the fleet: supervisor, one worker an account, writer, paper, web, notify, telegram",
        ),
        _label("environment", "where it trades", ("mainnet", "testnet", "demo", "paper")),
        _label("mode", "whether its orders leave", ("live", "shadow")),
        _label("direction", "the leg", ("long", "short")),
        _label("process_state", "states of a process", (state.value for state in ProcessState)),
        _label("health", "health of an account", (*(word.value for word in AccountHealth), "unknown")),
        _label("freshness", "how old market data is", (word.value for word in Freshness)),
        _label("state", "states of a strategy", (*(word.value for word in StrategyState), "unknown")),
        _label("reason", "why the gate refuses, by its table (`docs/risk.md` 6.1)", (each.value for each in Refusal)),
        _label("code", "`0`, the retCodes of our table, `other` for the rest, `none` without an answer; 61 at most"),
        _label("request", "kinds of requests for orders", ("create", "cancel")),
        _label("result", "how a comparison with the exchange ended", ("complete", "failed")),
        _label(
            "difference",
            "what a comparison found",
            ("missed_executions", "adopted_orders", "looked_up_orders", "foreign_orders"),
        ),
        _label("connection", "which connection", ("stream", "trade_socket")),
        _label("cap", "the caps that there are", _CAPS),
        _label("scope", "the groups of the configuration, and 'fleet' for all"),
        _label("exchange", "the exchanges of the configuration: Bybit's hosts and the paper exchange"),
        _label("use", "whose permits they are", ("lent", "guests", "free")),
        _label("level", "levels of incidents", ("WARNING", "ERROR", "CRITICAL")),
        _label("host", "the hosts of the fleet"),
        _label("lease_state", "how the lease of an account stands", ("held", "ends", "free")),
        _label("service", "what one host does for all", ("notify", "telegram")),
        _label("version", "the one version that runs"),
    )
    for row in rows
)
"""Every label, and what bounds it. No metric has one whose values others could make up."""

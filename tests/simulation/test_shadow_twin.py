"""A shadow strategy is a live one without a wire: on the same market, with the same configuration, it decides the same.

Two whole workers under virtual time, one live on the paper exchange, one in shadow. The network is quick and even, and
the exchange takes any number of requests, because a live order that has not arrived yet cannot fill. Compared is every
wish with its quantity and the gate's answer, until the exchange refuses the live one something. A live start
asks a question more than a shadow's, so all wishes up to `STARTED_S` count as of one moment. Nothing depends on what
the account is worth, which only a live strategy changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from gridbot.config.models import GridbotConfig
from gridbot.frames import split
from gridbot.paper.settings import MatchingModel, PaperConfig
from gridbot.records.block_reader import bodies_of
from gridbot.simulation import scene, stage
from gridbot.simulation.network import Network
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import Plan
from tests.examples import examples

LENGTH_S = 60.0
STARTED_S = 0.1
NO_LOSSES = {"session_loss_limit": None, "max_drawdown": None, "max_margin_ratio": None}
END_S = LENGTH_S + 0.9  # then the run comes to rest, at prices that depend on the worker


def decisions(seed: int, *, shadow: bool, dense: bool, amount: str, balance: int) -> tuple[list[Any], float]:
    """What a worker wanted and was answered, with the second; and the second of the exchange's first refusal."""

    def config(*args: Any) -> GridbotConfig:
        made = scene.worker_config(*args)
        changes = {"shadow_mode": shadow} | ({"amount": amount} if amount else {})
        accounts = [each.model_copy(update={"caps": each.caps.model_copy(update=NO_LOSSES)}) for each in made.accounts]
        strategies = [each.model_copy(update=changes) for each in made.strategies]
        return made.model_copy(update={"accounts": accounts, "strategies": strategies})

    def exchange(plan: Plan) -> PaperConfig:
        made = scene.exchange_config(plan)
        return made.model_copy(
            update={
                "matching": MatchingModel.QUEUE,
                "query_lag_ms": 0,
                "default_balance": Decimal(balance),
                "limits": made.limits.model_copy(update={"orders_per_second": 1000}),
            }
        )

    with (
        patch.object(stage, "worker_config", config),
        patch.object(stage, "exchange_config", exchange),
        patch.object(Network, "latency", lambda network: 0.001),
    ):
        result = run_plan(Plan(seed, LENGTH_S, dense, ()))
    rows = [orjson.loads(body) for frame in split(result.journal, complete=True)[0] for body in bodies_of(frame)]
    refused_s = min((at_s for at_s, row in dated(rows, "orders") if row["state"] == "rejected"), default=END_S)
    wanted = [
        (max(at_s, STARTED_S), *(row[name] for name in NAMES), row["verdict"] == "refused" and row["reason"])
        for at_s, row in dated(rows, "intents")
    ]
    return wanted, refused_s


NAMES = ("strategy", "action", "direction", "side", "price", "qty", "reduce_only", "last_price")


def dated(rows: list[dict[str, Any]], kind: str) -> Iterator[tuple[float, dict[str, Any]]]:
    for row in rows:
        at_s = (row["local_ts"] - rows[0]["local_ts"]) / 1e6
        if row["kind"] == kind and at_s < END_S:
            yield at_s, row["data"]


@pytest.mark.parametrize("seed", range(1, examples(1) + 1))
@pytest.mark.parametrize(
    ("amount", "balance", "dense"),
    [("", 10_000, True), ("x0.02", 10_000, False), ("x0.3", 400, True)],
    ids=["two grids", "sizes from the wallet", "hardly any money"],
)
def test_a_shadow_strategy_decides_what_a_live_one_decides(seed: int, amount: str, balance: int, dense: bool) -> None:
    live, refused_s = decisions(seed, shadow=False, dense=dense, amount=amount, balance=balance)
    shadow, _ = decisions(seed, shadow=True, dense=dense, amount=amount, balance=balance)
    expected = [wish for wish in live if wish[0] < refused_s]
    assert expected
    assert [wish for wish in shadow if wish[0] < refused_s] == expected

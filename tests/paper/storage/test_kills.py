"""kill -9 at any moment under load: what clients were told is what the exchange that follows says.

Several clients create, cancel and fill over REST and listen to the private stream, on a lively market; every second
life has faults on. `GRIDBOT_TEST_KILLS` sets how often it is killed.
"""

from __future__ import annotations

import os
import random
import resource
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError

from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.paper.storage import exchange_file
from tests.paper.exchange_process import ExchangeProcess
from tests.paper.support import ALICE, BOB, eventually

KILLS = int(os.environ.get("GRIDBOT_TEST_KILLS", "4"))
SEED = int(os.environ.get("GRIDBOT_TEST_SEED", "1"))
LINEAR = {"category": "linear", "symbol": "LTCUSDT"}
FINAL = {"Filled", "Cancelled", "Rejected", "PartiallyFilledCanceled"}
ACCOUNTS = (ALICE, PaperAccount("bob", BOB.api_key, BOB.api_secret, Decimal(20_000)))
FAULTS = [
    {"kind": "lost_reply", "endpoint": "/v5/order/create", "probability": 0.05, "times": 0},
    {"kind": "error_after", "endpoint": "/v5/order/cancel", "probability": 0.05, "times": 0},
    {"kind": "duplicate_frame", "topic": "execution", "probability": 0.1, "times": 0},
    {"kind": "reorder_frames", "topic": "order", "probability": 0.1, "times": 0},
]


def fold_often() -> None:
    """Runs in the process of the exchange."""
    exchange_file.FOLD_BYTES = 30_000
    exchange_file.PAUSE_S = 0.01


def spec(state_file: Path, port: int, life: int) -> PaperSpec:
    config = PaperConfig.model_validate(
        {
            "position_mode": "hedge",
            "state_file": state_file,
            "state_interval_s": 0.05,
            "port": port,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
            "market": {"symbols": {"LTCUSDT": {"volatility": "0.002", "trades_per_second": 40}}, "seed": life},
            "faults": FAULTS if life % 2 else [],
        }
    )
    return PaperSpec(config=config, accounts=ACCOUNTS, setup_logging=fold_often)


class Told:
    """What one account was told, over all lives of the exchange."""

    def __init__(self) -> None:
        self.created: dict[str, str] = {}  # order id to link id
        self.filled: dict[str, Decimal] = defaultdict(Decimal)
        self.ended: dict[str, str] = {}  # order id to final status
        self.executions: dict[str, dict[str, Any]] = {}
        self.answers = 0
        self.problems: list[str] = []

    def order(self, row: dict[str, Any]) -> None:
        order_id, status, filled = row["orderId"], row["orderStatus"], Decimal(row["cumExecQty"])
        self.created.setdefault(order_id, row["orderLinkId"])
        if status in FINAL and self.ended.setdefault(order_id, status) != status:
            self.problems.append(f"{order_id} ended as {self.ended[order_id]} and as {status}")
        self.filled[order_id] = max(filled, self.filled[order_id])

    def execution(self, row: dict[str, Any]) -> None:
        kept = {name: row[name] for name in ("execId", "orderId", "side", "execPrice", "execQty", "execFee")}
        kept |= {"execPrice": Decimal(row["execPrice"]), "execQty": Decimal(row["execQty"])}
        if self.executions.setdefault(row["execId"], kept) != kept:
            self.problems.append(f"{row['execId']} is {self.executions[row['execId']]} and {kept}")


class Client(threading.Thread):
    """Trades on one account until the exchange is gone."""

    def __init__(self, exchange: ExchangeProcess, account: PaperAccount, told: Told, name: str) -> None:
        super().__init__(daemon=True)
        self.gone = threading.Event()
        self._http = exchange.http(account)
        self._told = told
        self._draw = random.Random(f"{SEED} {name}")
        self._name = name
        self._open: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.gone.is_set():
            number += 1
            with suppress(InvalidRequestError, FailedRequestError, requests.RequestException):  # lost, by fault or kill
                self._act(number)
                self._told.answers += 1

    def _act(self, number: int) -> None:
        kind = self._draw.random()
        if kind < 0.6:
            self._create(f"{self._name}-{number}")
        elif kind < 0.8 and self._open:
            order_id = self._open.pop(self._draw.randrange(len(self._open)))
            self._http.cancel_order(**LINEAR, orderId=order_id)
        elif kind < 0.9:
            for row in self._http.get_executions(**LINEAR, limit=20)["result"]["list"]:
                self._told.execution(row)
        else:
            for row in self._http.get_order_history(**LINEAR, limit=20)["result"]["list"]:
                self._told.order(row)

    def _create(self, link_id: str) -> None:
        draw, idx = self._draw, self._draw.choice((1, 2))
        side = draw.choice(("Buy", "Sell"))
        price = 85 + (-1 if side == "Buy" else 1) * draw.randrange(0, 100) / 100
        order = LINEAR | {"side": side, "positionIdx": idx, "qty": f"{draw.randrange(1, 20) / 10}"}
        order |= {"orderLinkId": link_id, "orderType": draw.choice(("Limit", "Limit", "Market"))}
        answer = self._http.place_order(**order, price=f"{price:.2f}")["result"]
        self._told.created[answer["orderId"]] = answer["orderLinkId"]
        self._open.append(answer["orderId"])


def pages(call: Any, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        result = call(**params, cursor=cursor, limit=50)["result"]
        rows += result["list"]
        cursor = result["nextPageCursor"]
        if not cursor:
            return rows


def compare(exchange: ExchangeProcess, account: PaperAccount, told: Told) -> list[str]:
    """What does not fit between what an account was told and what the exchange says now, in which nothing moves."""
    http = exchange.http(account)
    executions = pages(http.get_executions, category="linear")
    log = pages(http.get_transaction_log)
    orders = pages(http.get_order_history, category="linear") + pages(http.get_open_orders, **LINEAR)
    wallet = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]
    legs = http.get_positions(**LINEAR)["result"]["list"]
    problems = list(told.problems)
    listed = {row["orderId"]: row for row in orders}
    if len(listed) != len(orders):
        problems.append("an order is listed twice")
    for order_id, link_id in told.created.items():
        row = listed.get(order_id)
        if row is None or row["orderLinkId"] != link_id:
            problems.append(f"order {order_id} {link_id} is {row}")
        elif told.ended.get(order_id, row["orderStatus"]) != row["orderStatus"]:
            problems.append(f"order {order_id} ended as {told.ended[order_id]}, now {row['orderStatus']}")
        elif Decimal(row["cumExecQty"]) < told.filled[order_id]:
            problems.append(f"order {order_id} had {told.filled[order_id]}, now {row['cumExecQty']}")
    known = {row["execId"] for row in executions}
    if len(known) != len(executions):
        problems.append("an execution is listed twice")
    problems += [f"execution {row} is gone" for exec_id, row in told.executions.items() if exec_id not in known]
    for row in executions:
        told.execution(row)
    numbers = [int(row["execId"][-12:], 16) for row in executions]
    if numbers != sorted(numbers, reverse=True):
        problems.append("executions are not in their order")
    if sum(Decimal(row["change"]) for row in log) != Decimal(wallet["walletBalance"]):
        problems.append(f"the log adds up to {sum(Decimal(row['change']) for row in log)}, the wallet is {wallet}")
    for leg in legs:
        fills = [r for r in executions if listed.get(r["orderId"], {}).get("positionIdx") == leg["positionIdx"]]
        opens = "Buy" if leg["positionIdx"] == 1 else "Sell"
        size = sum(Decimal(r["execQty"]) * (1 if r["side"] == opens else -1) for r in fills)
        if size != Decimal(leg["size"]):
            problems.append(f"leg {leg['positionIdx']} is {leg['size']}, its executions make {size}")
    done: dict[str, Decimal] = defaultdict(Decimal)
    for row in executions:
        done[row["orderId"]] += Decimal(row["execQty"])
    for row in orders:
        if Decimal(row["cumExecQty"]) != done[row["orderId"]]:
            problems.append(f"order {row['orderId']} has {row['cumExecQty']}, executed was {done[row['orderId']]}")
    return problems


def still(spec_: PaperSpec) -> PaperSpec:
    """The same exchange on a market that does not move, without faults."""
    values = spec_.config.model_dump(mode="json") | {"faults": []}
    values["market"] = {"source": "manual", "symbols": {"LTCUSDT": {"price": 85}}}
    return PaperSpec(config=PaperConfig.model_validate(values), accounts=ACCOUNTS)


def small_files() -> None:
    """Runs in the process of the exchange: the disk takes a part of a record, and nothing more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_killed_while_the_disk_is_full_it_has_what_it_answered(tmp_path: Path) -> None:
    whole = still(spec(tmp_path / "state.json", 0, 0))
    with ExchangeProcess() as exchange:
        exchange.start(replace(whole, setup_logging=small_files))
        http, told = exchange.http(ALICE), {}
        order = LINEAR | {"side": "Buy", "positionIdx": 1, "qty": "0.1", "orderType": "Limit"}
        refused: list[int] = []
        while not refused:
            try:
                answer = http.place_order(**order, price="80.00", orderLinkId=f"told-{len(told)}")["result"]
                told[answer["orderId"]] = answer["orderLinkId"]
            except InvalidRequestError as error:
                refused.append(error.status_code)
        assert refused == [10016]
        with pytest.raises(InvalidRequestError, match="cannot write its journal"):
            http.cancel_all_orders(**LINEAR)
        exchange.kill()
        exchange.start(whole)
        http = exchange.http(ALICE)
        assert {row["orderId"]: row["orderLinkId"] for row in pages(http.get_open_orders, **LINEAR)} == told
        assert len(told) > 10
        fresh = http.place_order(**order, price="80.00", orderLinkId="fresh")["result"]["orderId"]
        assert fresh not in told


def has_answers(told: dict[str, Told], target: int) -> bool:
    return sum(each.answers for each in told.values()) >= target


def test_what_clients_were_told_is_what_the_next_one_says(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    told = {account.name: Told() for account in ACCOUNTS}
    port = 0
    with ExchangeProcess() as exchange:
        for life in range(KILLS):
            exchange.start(spec(tmp_path / "state.json", port, life))
            port = exchange.port
            before = sum(each.answers for each in told.values())
            sockets = []
            for account in ACCOUNTS:
                socket = exchange.websocket("private", account, restart_on_error=False)
                seen = told[account.name]
                socket.order_stream(lambda m, seen=seen: [seen.order(row) for row in m["data"]])
                socket.execution_stream(lambda m, seen=seen: [seen.execution(row) for row in m["data"]])
                sockets.append(socket)
            clients = [
                Client(exchange, account, told[account.name], f"{life}-{account.name}-{n}")
                for account in ACCOUNTS
                for n in range(2)
            ]
            for client in clients:
                client.start()
            target = before + draw.randrange(20, 200)
            answered = partial(has_answers, told, target)
            eventually(answered, timeout=60)
            exchange.kill()
            for client in clients:
                client.gone.set()
            for client in clients:
                client.join(30)
            assert not any(client.is_alive() for client in clients)
            for socket in sockets:
                socket.exit()
            exchange.start(still(spec(tmp_path / "state.json", port, life)))
            problems = [problem for account in ACCOUNTS for problem in compare(exchange, account, told[account.name])]
            assert problems == [], (SEED, life)
            exchange.kill()
    assert sum(len(each.executions) for each in told.values()) > 10

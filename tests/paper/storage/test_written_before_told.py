"""Nothing is told before the journal has it, by whichever way it would leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.rows.outbox import Push
from gridbot.segment_file import segment_numbers, segment_path
from tests.paper.storage.test_state_file_writes import FullDisk
from tests.paper.streams.test_trade_channel import ask
from tests.paper.support import ALICE, Inbox, Venue, eventually, limit_order, manual_config, venue_of


def is_kept(path: Path, *what: str) -> bool:
    """Whether one record of a state file's journal has all of it."""
    directory = path.with_name(f"{path.name}.journal")
    segments = [segment_path(directory, first).read_bytes() for first in segment_numbers(directory)]
    return any(all(each.encode() in line for each in what) for line in b"".join(segments).splitlines())


def order(link_id: str, price: str = "59800.00") -> dict[str, Any]:
    return limit_order("BTCUSDT", "Buy", "0.001", price, 1, orderLinkId=link_id)


def place(venue: Venue) -> int:
    """The code of the answer."""
    try:
        code: int = venue.http().place_order(**order("during"))["retCode"]
    except InvalidRequestError as refused:
        code = refused.status_code
    return code


def place_with_faults_elsewhere(venue: Venue) -> int:
    """Goes through aiohttp."""
    venue.call(venue.server.faults.add, FaultConfig.model_validate({"kind": "error", "endpoint": "/v5/none"}))
    return place(venue)


def place_late(venue: Venue) -> int:
    fault = {"kind": "delay", "endpoint": "/v5/order/create", "delay_ms": 1}
    venue.call(venue.server.faults.add, FaultConfig.model_validate(fault))
    return place(venue)


def place_by_socket(venue: Venue) -> int:
    socket = venue.trading_socket()
    code: int = ask(socket.place_order, **order("during"))["retCode"]
    socket.exit()
    return code


def fill_by_control(venue: Venue) -> int:
    command = {"action": "trade", "symbol": "BTCUSDT", "price": "59000", "size": "1", "side": "Sell"}
    code: int = venue.control(command).json().get("retCode", 0)
    return code


WAYS = [place, place_with_faults_elsewhere, place_late, place_by_socket, fill_by_control]


@pytest.mark.parametrize("way", WAYS)
def test_the_first_answer_that_a_full_disk_stops_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Venue], int]
) -> None:
    disk = FullDisk(monkeypatch)
    with venue_of(manual_config(state_file=tmp_path / "state.json", control=True)) as venue:
        venue.http().place_order(**order("before"))
        disk.room = 0
        assert way(venue) == 10016
        disk.room = None


@pytest.mark.parametrize("way", [*WAYS, lambda venue: venue.trade("BTCUSDT", "59000", "1", "Sell")])
def test_every_push_is_in_the_journal_when_it_leaves(tmp_path: Path, way: Callable[[Venue], object]) -> None:
    path = tmp_path / "state.json"
    with venue_of(manual_config(state_file=path, control=True)) as venue:
        channels, leaves = venue.server.channels, venue.server.channels.push
        told: list[bool] = []

        def push(pushes: list[Push]) -> None:
            rows = [row for each in pushes for row in each.rows]
            told.extend(is_kept(path, row["execId"]) for row in rows if "execId" in row)
            told.extend(is_kept(path, row["orderId"], row["orderStatus"]) for row in rows if "orderStatus" in row)
            leaves(pushes)

        socket, inbox = venue.websocket("private", ALICE), Inbox()
        socket.order_stream(inbox)
        socket.execution_stream(inbox)
        eventually(lambda: len(venue.server.exchange.accounts["alice"].listening) == 2)
        venue.http().place_order(**order("before", "59700.00"))
        channels.push = push  # type: ignore[method-assign]
        way(venue)
        eventually(lambda: told)
        assert all(told)
        socket.exit()


@pytest.mark.parametrize(("room", "outcome"), [(None, ["sent, and kept"]), (0, ["refused"])])
def test_an_answer_waits_for_the_write_of_what_else_its_turn_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int | None, outcome: list[str]
) -> None:
    disk = FullDisk(monkeypatch)
    path = tmp_path / "state.json"
    with venue_of(manual_config(state_file=path)) as venue:
        venue.http().place_order(**order("before"))
        server, seen = venue.server, []
        disk.room = room

        def turn() -> list[str]:
            server.market.trade("BTCUSDT", "59000", "1", "Sell")
            [execution] = server.exchange.accounts["alice"].executions
            server._outgoing.hold(
                lambda: seen.append("sent, and kept" if is_kept(path, execution.exec_id) else "sent too early"),
                lambda: seen.append("refused"),
            )
            return list(seen)

        assert venue.call(turn) == []
        eventually(lambda: seen)
        assert seen == outcome
        disk.room = None

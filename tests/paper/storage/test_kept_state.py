"""The recovery core: whatever happens, and wherever the journal is cut, the last whole record is where it goes on."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Side
from gridbot.frames import split
from gridbot.paper.accounts.stop_kinds import TpslMode
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls import position_calls
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import AUCTION_PHASES, Phase
from gridbot.paper.settings import PositionMode
from gridbot.paper.storage.exchange_file import ExchangeFile
from gridbot.segment_file import segment_numbers, segment_path
from tests.paper.engine import test_money
from tests.paper.engine.test_money import new_exchange
from tests.paper.stops import test_stop_money
from tests.paper.support import dump_state

EXAMPLES = int(os.environ.get("GRIDBOT_EXAMPLES", "40"))
Path_ = list[tuple[Any, ...]]
setting = st.one_of(
    st.tuples(st.just("leverage"), st.integers(1, 50)),
    st.tuples(st.just("mode"), st.booleans()),
    st.tuples(st.just("isolated"), st.booleans(), st.integers(1, 50)),
    st.tuples(st.just("fund"), st.integers(-75, 75)),
)
life = st.one_of(
    st.tuples(st.just("delist"), st.integers(0, 20), st.integers(0, 5)),
    st.tuples(
        st.just("list"), st.sampled_from(("Trading", "PendingOpen", "PreLaunch")), st.sampled_from(AUCTION_PHASES)
    ),
    st.tuples(st.just("launch"), st.integers(1, 9), st.integers(0, 5)),
    st.tuples(st.just("rules"), st.sampled_from(("0.01", "0.05")), st.sampled_from(("0.1", "0.3"))),
    st.tuples(st.just("maintain"), st.sampled_from(("scheduled", "ongoing"))),
    st.tuples(st.just("turn")),
)
paths = st.lists(
    st.one_of(
        *(test_money.placing, test_money.trading, test_money.trading, test_money.cancelling, test_money.amending),
        *(test_stop_money.entering, test_stop_money.leaving, test_stop_money.stopping, test_stop_money.trailing),
        *(test_stop_money.moving, test_stop_money.moving, setting, life),
    ),
    min_size=1,
    max_size=30,
)


def do_life(exchange: Exchange, step: tuple[Any, ...], now_ms: int) -> None:
    """What becomes of the contract."""
    listing, symbol = exchange.listing, "LTCUSDT"
    match step:
        case ("delist", in_ms, settling_ms):
            listing.delist(symbol, now_ms + in_ms, now_ms, settling_ms=settling_ms)
        case ("list", status, phase):
            listing.change(symbol, now_ms, status=status, phase=phase, delivery_ms=0)
        case ("launch", call_ms, matching_ms):
            ends_ms = now_ms + call_ms
            phases = [Phase("CallAuction", now_ms, ends_ms), Phase("CrossMatching", ends_ms, ends_ms + matching_ms)]
            listing.launch(symbol, phases, now_ms)
        case ("rules", tick, step_size):
            tick_size, qty_step = test_money.D(tick), test_money.D(step_size)
            exchange.change_rules(symbol, tick_size=tick_size, qty_step=qty_step)
        case ("maintain", state):
            exchange.announced.carry_out({"action": "maintain", "id": "m", "state": state}, now_ms)
        case _:
            exchange.on_time(now_ms)


def do(exchange: Exchange, step: tuple[Any, ...], now_ms: int, mode: PositionMode) -> None:
    account = exchange.accounts["a"]
    match step:
        case ("leverage", leverage):
            both = test_money.D(leverage)
            exchange.positions.set_leverage(account, "LTCUSDT", both, both, now_ms)
        case ("isolated", isolated, extra):
            exchange.positions.set_margin_mode(account, now_ms, isolated=isolated)
            exchange.positions.set_leverage(account, "LTCUSDT", test_money.D(9), test_money.D(11), now_ms)
            wanted = {"category": "linear", "symbol": "LTCUSDT", "tpSlMode": "Partial"}
            position_calls.set_tpsl_mode(exchange, account, wanted, now_ms)
            for leg in list(account.legs.values()):
                exchange.positions.set_auto_add(account, leg, now_ms, on=True)
                exchange.positions.add_margin(account, leg, test_money.D(extra), now_ms)
        case ("mode", hedge):
            exchange.positions.switch_mode(account, "LTCUSDT", hedge=hedge)
        case ("enter" | "leave" | "stop" | "trail" | "move", *_):
            test_stop_money.do(exchange, step, now_ms, mode)
        case ("delist" | "list" | "launch" | "rules" | "maintain" | "turn", *_):
            do_life(exchange, step, now_ms)
        case _:
            test_money.do(exchange, step, now_ms, mode)


def run(file: ExchangeFile, exchange: Exchange, path: Path_, mode: PositionMode, fold_at: int) -> dict[int, list[Any]]:
    """Do the steps, one record each; return what there was after each record, by its number."""
    file.open(exchange)
    states = {0: dump_state(exchange)}
    for now_ms, step in enumerate(path, start=1):
        with suppress(ApiError):
            do(exchange, step, now_ms, mode)
        assert file.write_changes()
        states[file.number] = dump_state(exchange)
        if now_ms == fold_at:
            file.write_whole(*file.begin_fold(exchange))
    file.close()
    return states


def opened(path: Path, mode: PositionMode) -> Exchange:
    exchange = new_exchange(mode)
    file = ExchangeFile(path)
    file.open(exchange)
    file.close()
    return exchange


def reopened(path: Path, mode: PositionMode) -> list[Any]:
    return dump_state(opened(path, mode))


def listings(exchange: Exchange, limit: int) -> dict[str, list[Any]]:
    """All rows of all listings of the past, by pages of `limit`; closed profit and loss of open orders, too."""
    found: dict[str, list[Any]] = {}
    api, account = Api(exchange), exchange.accounts["a"]
    for path, params in (
        ("/v5/order/realtime", {"settleCoin": "USDT"}),
        ("/v5/order/realtime", {"settleCoin": "USDT", "openOnly": "1"}),
        ("/v5/order/history", {}),
        ("/v5/order/history", {"symbol": "LTCUSDT", "orderStatus": "Filled"}),
        ("/v5/execution/list", {}),
        ("/v5/execution/list", {"symbol": "LTCUSDT", "startTime": "10", "endTime": "20"}),
        ("/v5/position/closed-pnl", {}),
        ("/v5/account/transaction-log", {}),
        ("/v5/asset/delivery-record", {"startTime": "0", "endTime": "60"}),
    ):
        rows, cursor = found.setdefault(f"{path} {params}", []), ""
        while True:
            asked = {"category": "linear", "limit": str(limit), "cursor": cursor} | params
            if path.endswith("log"):
                del asked["category"]
            result, _, _ = api.call(ROUTES[path], path, account, asked, 40)
            rows += result["list"]
            cursor = result["nextPageCursor"]
            if not cursor:
                break
    for row in (*found["/v5/order/history {}"], *found["/v5/execution/list {}"]):
        asked = {"category": "linear", "orderId": row["orderId"]}
        for path in ("/v5/order/history", "/v5/execution/list"):
            found[f"{path} {row['orderId']}"] = api.call(ROUTES[path], path, account, asked, 40)[0]["list"]
    return found


def test_isolated_margin_is_there_again(tmp_path: Path) -> None:
    path: Path_ = [
        ("place", Side.BUY, 1, 100, 8600, "IOC", "None", None, None),
        ("place", Side.BUY, 1, 10, 8300, "GTC", "None", None, None),
        ("isolated", True, 50),
    ]
    file, before = ExchangeFile(tmp_path / "state.json"), new_exchange(PositionMode.HEDGE)
    states = run(file, before, path, PositionMode.HEDGE, fold_at=2)
    exchange = opened(tmp_path / "state.json", PositionMode.HEDGE)
    account = exchange.accounts["a"]
    assert (account.isolated, account.mode_ms) == (True, 3)
    assert account.partial_stops == {"LTCUSDT"}
    assert (account.leverage, account.sell_leverage) == ({"LTCUSDT": 9}, {"LTCUSDT": 11})
    leg = account.leg("LTCUSDT", 1)
    assert (leg.size, leg.extra, leg.auto_add) == (10, 50, True)
    assert account.order_margin > 0
    assert account.order_maintenance > 0
    assert dump_state(exchange) == states[max(states)]
    assert exchange.totals(account).available == before.totals(before.accounts["a"]).available


@settings(max_examples=EXAMPLES, deadline=None)
@given(paths, st.sampled_from(PositionMode), st.integers(0, 40), st.integers(1, 7))
def test_every_listing_is_the_same_after_a_restart_whatever_its_pages(
    path: Path_, mode: PositionMode, fold_at: int, limit: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file, exchange = ExchangeFile(Path(directory) / "state.json"), new_exchange(mode)
        run(file, exchange, path, mode, fold_at)
        before = listings(exchange, 50)
        assert listings(exchange, limit) == before
        assert listings(opened(file.path, mode), limit) == before


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(paths, st.sampled_from(PositionMode), st.integers(0, 40), st.data())
def test_a_journal_cut_at_any_byte_leads_to_the_last_whole_record(
    path: Path_, mode: PositionMode, fold_at: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        file = ExchangeFile(home / "state.json")
        states = run(file, new_exchange(mode), path, mode, fold_at)
        assert reopened(home / "state.json", mode) == states[max(states)]
        segments = segment_numbers(file.directory)
        if not segments:  # all of it is in the state file
            return
        segment = segment_path(file.directory, segments[-1])
        content = segment.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        os.truncate(segment, cut)
        bodies, _, done = split(content[:cut], complete=False)
        first = max(states) - len(split(content, complete=True)[0])
        assert reopened(home / "state.json", mode) == states[first + len(bodies)]
        assert segment.stat().st_size == done


OPEN = ("place", Side.BUY, 1, 1, 8300, "GTC", "None", None, None)
A_CLOSED_LEG_THAT_LEAVES_ISOLATED_MARGIN = [
    *[*[OPEN] * 5, ("rules", "0.05", "0.1"), *[OPEN] * 6],
    *[("trade", Side.BUY, 8300, 0), OPEN, ("isolated", False, 1)],
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(paths, paths, st.sampled_from(PositionMode), st.integers(0, 400))
@example(
    [OPEN, ("enter", 2, 1, None, None, None, TpslMode.FULL), ("isolated", True, 1)],
    A_CLOSED_LEG_THAT_LEAVES_ISOLATED_MARGIN,
    PositionMode.HEDGE,
    0,
)
def test_a_second_life_goes_on_behind_a_torn_end(path: Path_, more: Path_, mode: PositionMode, torn: int) -> None:
    """No number of the first life that was answered is given again, and the second life is there, too."""
    with tempfile.TemporaryDirectory() as directory:
        file = ExchangeFile(Path(directory) / "state.json")
        run(file, new_exchange(mode), path, mode, 0)
        numbers = segment_numbers(file.directory)
        if numbers:
            with segment_path(file.directory, numbers[-1]).open("ab") as segment:
                segment.write((b"000400 0badc0de " + b'{"i":' * 100)[:torn])
        exchange = new_exchange(mode)
        run(ExchangeFile(file.path), exchange, more, mode, 0)
        again = new_exchange(mode)
        last = ExchangeFile(file.path)
        last.open(again)
        last.close()
        assert dump_state(again) == dump_state(exchange)
        ids = [execution.exec_id for execution in again.accounts["a"].executions]
        ids += [*again.accounts["a"].open, *again.accounts["a"].closed]
        assert len(set(ids)) == len(ids)
        assert all(int(each[-12:], 16) <= again.state.ids.last for each in ids)

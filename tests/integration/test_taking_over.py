"""A worker that takes over asks for nothing that its account has known, and never trades by what is no longer so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gridbot.bybit.rest import BybitRest
from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.worker.fleet_link import KNOWN_S
from gridbot.worker.spec import KNOWN
from gridbot.worker.startup import StartRefused
from tests.integration.worker_bench import BTC, account_of, exchange, settings, trading

LEVERED = {**BTC, "leverage": 12}
SETTINGS = ["account/info", "position/set-leverage", "position/switch-mode", "user/query-api"]
"""What a first start asks and sets that a life before has known."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the exchange is asked for, by endpoint."""
    heard: list[str] = []
    call = BybitRest._call

    async def listened(rest: BybitRest, endpoint: str, **params: Any) -> dict[str, Any]:
        heard.append(endpoint)
        return await call(rest, endpoint, **params)

    monkeypatch.setattr(BybitRest, "_call", listened)
    return heard


def by_hand(paper: PaperThread, path: str, **params: Any) -> None:
    """A request of the account's owner."""

    def ask() -> None:
        server = paper.server
        row = {"category": "linear", "symbol": "BTCUSDT", **params}
        server.api.call(ROUTES[path], path, account_of(paper), row, server.now_ms())
        server._publish()

    paper.call(ask)


def two_lives(
    home: Path,
    asked: list[str],
    between: Callable[[PaperThread], None] = lambda paper: None,
    told: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda known: known,
) -> list[str]:
    """What the second life has asked of `SETTINGS`. The first one has no orders, and dies without a word."""
    config = settings(home, LEVERED)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, crash=True, paused="before") as bench:
                [known] = [document for name, document in bench.handed if name == KNOWN]
            assert sorted(set(asked) & set(SETTINGS)) == SETTINGS
            between(paper)
            asked.clear()
            async with trading(config, paper, known=told(known)) as bench:
                begun = list(asked)
                account = account_of(paper)
                assert paper.call(lambda: (account.hedge["BTCUSDT"], account.leverage["BTCUSDT"])) == (True, 12)
                bench.runner().resume()
                paper.call(lambda: paper.server.market.set_price("BTCUSDT", "50001"))
                await bench.quiet()
                asked[:] = begun

    asyncio.run(run())
    return sorted(set(asked) & set(SETTINGS))


def test_who_takes_over_asks_nothing_that_was_known(tmp_path: Path, asked: list[str]) -> None:
    assert two_lives(tmp_path, asked) == []


@pytest.mark.parametrize(
    "between",
    [
        lambda paper: by_hand(paper, "/v5/position/switch-mode", mode=0),
        lambda paper: by_hand(paper, "/v5/position/set-leverage", buyLeverage="5", sellLeverage="5"),
    ],
    ids=["one-way mode", "another leverage"],
)
def test_what_a_hand_has_changed_since_is_found_and_set_before_anything_trades(
    tmp_path: Path, asked: list[str], between: Callable[[PaperThread], None]
) -> None:
    assert two_lives(tmp_path, asked, between) == SETTINGS


def test_isolated_margin_that_was_set_since_refuses_the_start_as_ever(tmp_path: Path, asked: list[str]) -> None:
    def isolate(paper: PaperThread) -> None:
        by_hand(paper, "/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")

    with pytest.raises(StartRefused, match="isolated margin"):
        two_lives(tmp_path, asked, isolate)


@pytest.mark.parametrize(
    "told",
    [
        lambda known: {},
        lambda known: {**known, "settings": "of others"},
        lambda known: {**known, "read_s": known["read_s"] - KNOWN_S - 1},
        lambda known: {**known, "read_s": known["read_s"] + 1e6},
    ],
    ids=["nothing", "other settings or key", "too old", "another machine's clock"],
)
def test_what_is_not_of_this_very_account_or_too_old_is_asked_for(
    tmp_path: Path, asked: list[str], told: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> None:
    assert two_lives(tmp_path, asked, told=told) == SETTINGS

"""Two hundred connections at once are served: each socket hears what it asked for, each HTTP connection is answered."""

from __future__ import annotations

import asyncio

from benchmarks.parts.paper_crowd import Crowd, HeardBy
from tests.paper.support import ALICE, BOB, limit_order, manual_config, venue_of


async def heard_by_all(listeners: list[HeardBy], topic: str) -> None:
    """Wait until each has heard of the topic."""
    async with asyncio.timeout(30):
        while not all(topic in each.frames for each in listeners):
            await asyncio.sleep(0.01)


def test_two_hundred_connections_are_served_at_the_same_time() -> None:
    with venue_of(manual_config()) as venue:

        async def run() -> None:
            async with Crowd(venue.url, [ALICE, BOB], public=80, private=60, http=60) as crowd:
                assert len(crowd.public) + len(crowd.private) == 140
                balances = asyncio.create_task(crowd.ask_all("/v5/account/wallet-balance", "accountType=UNIFIED"))
                for number, account in enumerate((ALICE, BOB)):
                    order = limit_order("BTCUSDT", "Buy", "0.001", f"{59000 + number}.00", 1)
                    await asyncio.to_thread(venue.http(account).place_order, **order)
                await asyncio.to_thread(venue.set_price, "BTCUSDT", "60010")
                await heard_by_all(crowd.private, "order")
                for listener, price in zip(crowd.private, ["59000.00", "59001.00"] * 30, strict=True):
                    [row] = [row for frame in listener.frames["order"] for row in frame["data"]]
                    assert row["price"] == price, "only the orders of its own account"
                await heard_by_all(crowd.public, "tickers.BTCUSDT")
                answers = await balances
                assert [each["retCode"] for each in answers] == [0] * 60
                owned = [each["result"]["list"][0]["totalWalletBalance"] for each in answers]
                assert owned == ["10000", "500"] * 30

        asyncio.run(run())

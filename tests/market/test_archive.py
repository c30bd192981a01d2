"""Days from a server: whole, resumed, and nothing that is not what was asked for."""

from __future__ import annotations

import asyncio
import gzip
import resource
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gridbot.market.archive import Fetched, Wanted, fetch
from gridbot.market.download import Download, DownloadPace, FetchFailed
from gridbot.market.market_error import MarketError
from gridbot.market.market_root import Market
from tests.market.archive_server import ArchiveServer, archive_server, dump
from tests.market.market_examples import DAY, START_MS

LAST = date(2026, 9, 3)
NAME = "BTCUSDT2026-09-01.csv.gz"


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path / "market")


async def fetched(market: Market, server: ArchiveServer, last: date = DAY, tries: int = 3, **more: Any) -> Fetched:
    wanted = Wanted("BTCUSDT", DAY, last, archive=server.url, rest=f"{server.url}/", **more)
    async with Download(DownloadPace(pause_s=0, tries=tries, first_wait_s=0.001, timeout_s=5)) as download:
        return await fetch(market, wanted, download)


async def test_days_come_with_marks_fundings_and_rules(market: Market) -> None:
    async with archive_server() as server:
        done = await fetched(market, server, LAST)
    assert done.result.refused == []
    assert market.days("BTCUSDT") == [DAY, date(2026, 9, 2), LAST]
    day = market.day("BTCUSDT", DAY)
    assert (len(day), len(day.marks), day.marks_ms[0], day.mark_unit) == (2000, 5760, START_MS, Decimal("0.1"))
    assert [at for at, _ in day.fundings] == [START_MS + at * 28_800_000 for at in range(3)]
    assert day.tiers is not None
    assert day.notes == ()
    assert [path.name for path in (market.root / ".fetch" / "BTCUSDT").iterdir()] == ["import.lock"]


async def test_what_is_there_is_not_fetched_again_unasked(market: Market) -> None:
    async with archive_server() as server:
        await fetched(market, server)
        server.requests.clear()
        done = await fetched(market, server)
        assert done.there == [DAY]
        assert not [path for path in server.paths if "trading" in path or "mark-price" in path]
        server.files[NAME] = dump(0, rows=5)
        await fetched(market, server, again=True)
    assert len(market.day("BTCUSDT", DAY)) == 5


async def test_a_broken_connection_is_taken_up_where_it_was(market: Market) -> None:
    async with archive_server() as server:
        server.breaks = [4000, 3000]
        await fetched(market, server)
        files = [asked for path, asked in server.requests if path.endswith(NAME)]
    assert files[0] == ""
    begins = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in files[1:]]
    assert begins == sorted(begins)
    assert 0 < begins[0] <= 4000
    assert len(market.day("BTCUSDT", DAY)) == 2000


async def test_the_next_run_takes_up_what_this_one_has_left(market: Market) -> None:
    async with archive_server() as server:
        server.breaks = [4000, 3000, 10]
        with pytest.raises(FetchFailed, match=rf"{NAME}: expected an answer, got .*\(3 tries\)"):
            await fetched(market, server)
        part = market.root / ".fetch" / "BTCUSDT" / f"{NAME}.part"
        have = part.stat().st_size
        assert 0 < have <= 7010
        server.requests.clear()
        await fetched(market, server)
        assert [asked for path, asked in server.requests if path.endswith(NAME)] == [f"bytes={have}-"]
    assert len(market.day("BTCUSDT", DAY)) == 2000


@pytest.mark.parametrize("left", [b"something else", dump(0) + b"and more"])
async def test_a_wrong_part_of_an_earlier_run_is_fetched_anew(market: Market, left: bytes) -> None:
    part = market.root / ".fetch" / "BTCUSDT" / f"{NAME}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    async with archive_server() as server:
        await fetched(market, server)
    assert len(market.day("BTCUSDT", DAY)) == 2000


async def test_a_day_that_the_archive_does_not_have(market: Market) -> None:
    async with archive_server() as server:
        del server.files["BTCUSDT2026-09-02.csv.gz"]
        done = await fetched(market, server, LAST)
        assert done.missing == [date(2026, 9, 2)]
        assert market.days("BTCUSDT") == [DAY, LAST]
        done = await fetched(market, server, LAST, candles=True)
    assert done.missing == []
    assert [market.day("BTCUSDT", day).kind for day in market.days("BTCUSDT")] == ["trades", "candles", "trades"]
    assert len(market.day("BTCUSDT", date(2026, 9, 2))) == 4 * 1440


async def test_a_file_that_is_none_is_refused(market: Market) -> None:
    async with archive_server() as server:
        server.files[NAME] = b"<html>come back later</html>"
        with pytest.raises(
            FetchFailed, match=rf"{NAME}: expected a whole gzip file, got one that begins with b'<html>come"
        ):
            await fetched(market, server)
    assert market.symbols() == []


async def test_rows_of_another_day_are_refused_and_the_others_are_there(market: Market) -> None:
    async with archive_server() as server:
        server.files["BTCUSDT2026-09-02.csv.gz"] = dump(2)
        done = await fetched(market, server, LAST)
    (text,) = done.result.refused
    assert "BTCUSDT2026-09-02.csv.gz line 2: expected a time of 2026-09-02, as the file is named" in text
    assert market.days("BTCUSDT") == [DAY, LAST]


@pytest.mark.parametrize("content", [b"", b"timestamp,symbol,side,size,price\n"])
async def test_a_file_without_trades_is_as_good_as_none(market: Market, content: bytes) -> None:
    """The archive has some of 44 bytes."""
    async with archive_server() as server:
        server.files[NAME] = gzip.compress(content)
        done = await fetched(market, server)
        assert (done.result.refused, done.missing, market.days("BTCUSDT")) == ([], [DAY], [])
        await fetched(market, server, candles=True)
    assert [document.form for document in market.documents("BTCUSDT")] == ["candles"]


@pytest.mark.parametrize("content", [dump(0, 20)[:40], dump(0, 20)[:12] + b"\xff" * 200, b"<html>"])
async def test_a_file_of_before_that_is_damaged_is_refused_and_the_others_are_there(
    market: Market, content: bytes
) -> None:
    place = market.root / ".fetch" / "BTCUSDT"
    place.mkdir(parents=True)
    (place / NAME).write_bytes(content)
    async with archive_server() as server:
        done = await fetched(market, server, LAST)
        assert [f"{NAME}: cannot be read: " in text for text in done.result.refused] == [True]
        assert len(market.days("BTCUSDT")) == 2
        assert (await fetched(market, server, LAST)).result.refused == []
    assert len(market.days("BTCUSDT")) == 3


@pytest.mark.parametrize(("more", "requests"), [({}, 2), ({"skip_bad": True}, 1)])
async def test_a_refused_file_is_fetched_anew_but_for_other_rules(
    market: Market, more: dict[str, Any], requests: int
) -> None:
    """By the same rules it would be refused again, though the server has a right one by now."""
    async with archive_server() as server:
        good = server.files[NAME]
        server.files[NAME] = gzip.compress(gzip.decompress(good) + b"1788307199,BTCUSDT,Buy,0.0005,60000.1\n")
        assert len((await fetched(market, server)).result.refused) == 1
        server.files[NAME] = good
        assert (await fetched(market, server, **more)).result.refused == []
        assert server.paths.count(f"/trading/BTCUSDT/{NAME}") == requests
    assert len(market.day("BTCUSDT", DAY)) == 2000
    assert [path.name for path in (market.root / ".fetch" / "BTCUSDT").iterdir()] == ["import.lock"]


async def test_what_a_full_disk_did_not_take_is_not_fetched_again(market: Market) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with archive_server() as server:
        server.last_ms = START_MS + 300_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (14_000, hard))  # the download, but no column of 2,000 times 8 bytes
        try:
            done = await fetched(market, server)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "cannot be written: File too large" in done.result.refused[0]
        assert (await fetched(market, server)).result.refused == []
        assert server.paths.count(f"/trading/BTCUSDT/{NAME}") == 1
    assert len(market.day("BTCUSDT", DAY)) == 2000


async def test_the_marks_of_a_day_that_has_ended_are_fetched_again(market: Market) -> None:
    async with archive_server() as server:
        whole = server.files.pop(NAME)
        server.last_ms = START_MS + 3_600_000  # of the day, so far
        await fetched(market, server, candles=True)
        assert len(market.day("BTCUSDT", DAY).marks) == 4 * 60
        server.files[NAME], server.last_ms = whole, None
        await fetched(market, server)
    assert len(market.day("BTCUSDT", DAY).marks) == 4 * 1440


async def test_nothing_is_fetched_from_elsewhere(market: Market) -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/else"})

    async with archive_server() as server:
        server.instead["trading"] = elsewhere
        with pytest.raises(FetchFailed, match=r"got a redirect to 'http://127.0.0.1:1/else'; nothing is fetched from"):
            await fetched(market, server)
        assert len([path for path in server.paths if "trading" in path]) == 1


@pytest.mark.parametrize(
    ("word", "status", "text", "tries", "words"),
    [
        ("trading", 403, "", 1, "got status 403: too many requests, or not from here; wait 10 minutes"),
        ("trading", 503, "", 3, r"got status 503 \(3 tries\)"),
        ("trading", 400, "", 1, "expected an answer, got status 400"),
        ("instruments-info", 404, "", 1, "got status 404; is it the right address"),
        ("instruments-info", 200, "<html>", 1, "expected an answer of Bybit, got b'<html>'"),
        ("instruments-info", 200, '{"retCode":10001,"retMsg":"bad"}', 1, "expected retCode 0, got 10001 'bad'"),
        ("instruments-info", 200, '{"retCode":10006}', 3, r"retCode 10006: too many requests \(3 tries\)"),
        (
            "instruments-info",
            200,
            '{"retCode":0,"result":{"list":[]}}',
            1,
            "expected the contract BTCUSDT, it has none",
        ),
        ("instruments-info", 200, '{"retCode":0,"result":[]}', 1, "expected rows of BTCUSDT, got"),
        (
            "mark-price",
            200,
            '{"retCode":0,"result":{"symbol":"X","list":[]}}',
            1,
            "expected rows of BTCUSDT, got some of 'X'",
        ),
        ("mark-price", 200, '{"retCode":0,"result":{"list":[["5"]]}}', 1, "expected a row of 1788220800000 to"),
        ("funding", 200, '{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT"}]}}', 1, "expected a row of 17882208"),
    ],
)
async def test_what_is_no_answer_is_said(
    market: Market, word: str, status: int, text: str, tries: int, words: str
) -> None:
    async def wrong(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    async with archive_server() as server:
        server.instead[word] = wrong
        with pytest.raises(FetchFailed, match=words):
            await fetched(market, server)
        assert len([path for path in server.paths if word in path]) == tries
    assert market.symbols() == []


async def test_an_address_that_is_none_is_not_tried_again(market: Market) -> None:
    async with Download() as download:
        with pytest.raises(FetchFailed, match=r"expected an address such as https://api\.bybit\.com"):
            await fetch(market, Wanted("BTCUSDT", DAY, DAY, rest="nonsense"), download)


async def test_a_span_or_a_symbol_that_is_none(market: Market) -> None:
    async with archive_server() as server:
        with pytest.raises(FetchFailed, match="expected a span of 1 to 4000 days, got 2026-09-01 to 2026-08-31"):
            await fetched(market, server, date(2026, 8, 31))
        async with Download() as download:
            with pytest.raises(MarketError, match=r"expected a symbol such as BTCUSDT, got '\.\./x'"):
                await fetch(market, Wanted("../x", DAY, DAY), download)
    assert server.requests == []


async def test_it_hears_how_far_it_is_and_waits_between_requests(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int | None]] = []
    async with archive_server() as server:
        async with Download(DownloadPace(pause_s=0.05), lambda *said: heard.append(said)) as download:
            begin = asyncio.get_running_loop().time()
            for day in (1, 2, 3):
                name = f"BTCUSDT2026-09-0{day}.csv.gz"
                assert await download.file(f"{server.url}/trading/BTCUSDT/{name}", tmp_path / name)
            assert asyncio.get_running_loop().time() - begin >= 0.1
        size = len(server.files[NAME])
    assert (NAME, size, size) in heard

"""`gridbot-supervisor data fetch` against a server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode
from tests.market.archive_server import ArchiveServer, archive_server


def fetched(home: Path, *words: str, change: Callable[[ArchiveServer], None] = lambda _: None) -> Result:
    async def run() -> Result:
        async with archive_server() as server:
            change(server)
            addresses = {"GRIDBOT_ARCHIVE_URL": server.url, "GRIDBOT_REST_URL": server.url}
            line = ["data", "fetch", "BTCUSDT", "--from", "2026-09-01", *words, "--data-dir", str(home)]
            return await asyncio.to_thread(CliRunner(env=addresses).invoke, cli, line)

    return asyncio.run(run())


def test_days_are_fetched_and_told(tmp_path: Path) -> None:
    result = fetched(tmp_path, "--to", "2026-09-01")
    assert (result.exit_code, result.exception) == (0, None)
    assert "BTCUSDT  2026-09-01  trades   2000        0   5760         3     1" in result.output
    again = fetched(tmp_path, "--to", "2026-09-01")
    assert "1 day was there already; --again fetches what is there all the same" in again.output
    assert again.exit_code == 0


def test_a_day_that_is_not_there_ends_with_7_and_the_others_are_there(tmp_path: Path) -> None:
    result = fetched(tmp_path, "--to", "2026-09-04")
    assert result.exit_code == ExitCode.REFUSED
    assert "missing: the archive has no trades of BTCUSDT on 2026-09-04; --candles takes" in result.output
    assert len(list((tmp_path / "market" / "BTCUSDT").iterdir())) == 3


def test_an_address_that_cannot_be_is_a_mistake_before_anything_is_asked(tmp_path: Path) -> None:
    def asked_nothing(server: ArchiveServer) -> None:
        asked.append(server.requests)

    asked: list[list[tuple[str, str]]] = []
    for option, usual in (("--archive", "https://public.bybit.com"), ("--rest", "https://api.bybit.com")):
        for url in ("ftp://x", "nowhere", "http://", "http://x:99999", "https://two words"):
            result = fetched(tmp_path, "--to", "2026-09-01", option, url, change=asked_nothing)
            assert result.exit_code == ExitCode.USAGE
            assert f"{option}: expected an address such as {usual}, got '{url}'" in result.output
        for url in (
            "https://me:secret@x",
            "http://me:secret@x:abc",
            "me:secret@x",
            "http://me:secret@[x",
            "http://x/?secret",
        ):
            hidden = fetched(tmp_path, "--to", "2026-09-01", option, url, change=asked_nothing)
            assert f"{option}: expected an address without" in hidden.output
            assert "secret" not in hidden.output
    assert asked == [[]] * 20


def test_where_nothing_comes(tmp_path: Path) -> None:
    def nothing(server: ArchiveServer) -> None:
        server.files.clear()
        server.fundings.clear()

    assert fetched(tmp_path, "--to", "2026-09-01", change=nothing).exit_code == ExitCode.NOTHING


def test_what_is_no_answer_is_one_sentence(tmp_path: Path) -> None:
    def wrong(server: ArchiveServer) -> None:
        server.files = {"BTCUSDT2026-09-01.csv.gz": b"<html>"}

    result = fetched(tmp_path, "--to", "2026-09-01", change=wrong)
    assert isinstance(result.exception, CommandError)
    assert result.exception.code == ExitCode.REFUSED
    assert "expected a whole gzip file" in result.exception.text

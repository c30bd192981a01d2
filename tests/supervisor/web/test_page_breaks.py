"""What may go wrong around an open page: hostile words, accounts that do not run, readers and browsers that fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import Any
from urllib.parse import quote

import pytest

from supervisor.web import record_routes, status_feed, strategy_asker, web_server
from tests.store.night import Life
from tests.store.session import write_all

from .page_kit import PageKit, recorded, recorded_why, served
from .test_page_in_a_browser import log_in, text

HOSTILE = """x"onload="window.owned=1"'><script>window.owned=1</script><img src=x onerror="window.owned=1">"""
NAMES = (
    *("account", "strat_id", "symbol", "environment", "mode", "state", "health", "freshness", "level", "phase", "time"),
    *("since", "acked", "muted_until", "url", "side", "leg", "weight", "what", "of", "price", "next_s", "link_id"),
)
"""What is looked up or is a word of a list: other texts of the model are hostile."""
NOTHING_RAN = "window.owned === undefined && !document.querySelector('#app img, #app script, #app iframe')"


def hostile(value: Any, name: str = "") -> Any:
    """The same with words of an attacker in each text that is somebody's words."""
    if isinstance(value, dict):
        return {key: hostile(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, name) for each in value]
    is_words = isinstance(value, str) and name not in NAMES and not value.replace(".", "").lstrip("-").isdigit()
    return f"{value} {HOSTILE}" if is_words else value


def hostile_model() -> dict[str, Any]:
    model: dict[str, Any] = hostile(recorded())
    account = model["accounts"][0]
    account |= {"health": "degraded", "reasons": [HOSTILE], "groups": [HOSTILE]}
    account["strategies"][0] |= {"strat_id": HOSTILE, "symbol": HOSTILE, "state": "halted", "reason": HOSTILE}
    account["strategies"][1] |= {"waiting": {HOSTILE: 3}}
    account["process"] |= {"state": "RUNNING"}
    model["accounts"][1] |= {"account": HOSTILE, "environment": HOSTILE}
    model["accounts"][1]["process"] |= {"state": HOSTILE, "reason": HOSTILE}
    model["incidents"] = [
        {"id": "k3x9aq", "account": HOSTILE, "strategy": HOSTILE, "child": HOSTILE, "key": HOSTILE, "cause": HOSTILE,
         "level": HOSTILE, "since": HOSTILE, "count": 2, "text": HOSTILE, "acked": None, "muted_until": None}
    ]  # fmt: skip
    model["reasons"] = [HOSTILE]
    model["health"] = HOSTILE
    for part in ("supervisor", "writer", "paper", "web"):
        if "process" in model[part]:
            model[part]["process"]["state"] = "RUNNING"
    return model


def test_words_of_others_are_words_on_every_view(browser, tmp_path, monkeypatch):
    """In the model, in what a worker says, and in records: refusals, alerts, commands, ids and symbols."""
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    monkeypatch.setattr(strategy_asker, "AGAIN_S", 0.2)
    life = Life(tmp_path, "alice")
    life.strategies = ((HOSTILE, HOSTILE),)
    life.began("paper")
    life.fill("Buy", "100", "2", strategy=HOSTILE, symbol=HOSTILE)
    life.fill("Sell", "101", "1", strategy=HOSTILE, symbol=HOSTILE)
    life.intent("refused", reason=HOSTILE)
    life.order("link-b", "rejected", ret_code=110007, reason=HOSTILE, strategy=HOSTILE, symbol=HOSTILE)
    life.close()
    write_all(tmp_path)
    with served(tmp_path, hold_s=60.0) as kit:
        kit.model = hostile_model()
        kit.allow_commands()
        why = hostile(recorded_why())
        hold = {"of": "strategy", "what": "paused", "text": HOSTILE, "since_ms": 0, "by": HOSTILE, "left_s": None}
        kit.why = {HOSTILE: why | {"strategy": HOSTILE, "holds": [hold | {"lifted_by": HOSTILE}], "rules": [HOSTILE]}}
        value = {"key": HOSTILE, "value": HOSTILE, "kind": "own", "line": 1}
        sections = [{"section": "account", "name": HOSTILE, "values": [value]}]
        kit.answers["settings"] = {"ok": True, "file": HOSTILE, "sections": sections}
        browser.screen(1400, 900)
        log_in(browser, kit, 2)
        browser.click("tr.account button")
        browser.shows("document.querySelectorAll('tr.strategy').length === 2", "the strategies")
        assert browser.run(NOTHING_RAN)
        said = "document.body.textContent.includes('<script>window.owned=1</script>')"
        assert browser.run(said)
        browser.run(f"location.hash = '#/alice/{quote(HOSTILE, safe='')}?range=all'")
        browser.shows("document.querySelectorAll('svg.ladder .bar').length > 10", "the ladder")
        browser.shows(
            "document.querySelectorAll('.figure').length && "
            "[...document.querySelectorAll('.figure')].every((f) => !f.innerText.includes('Reading'))", "rows"
        )  # fmt: skip
        refusals = "document.querySelector('section[aria-labelledby=figure-refusals]').textContent"
        browser.shows(f"{refusals}.includes('<script>')", "the refusal in its own words")
        assert browser.run(f"{NOTHING_RAN} && {said}")
        browser.run("location.hash = '#/operations'")
        browser.shows("document.querySelector('form.command') !== null", "operations")
        kit.answers["worker"] = {"ok": False, "error": HOSTILE}
        browser.fill("#targets", "alice")
        browser.press("pause now")
        browser.shows("document.querySelector('[role=status]').textContent.includes('<script>')", "the refusal")
        assert browser.run(f"{NOTHING_RAN} && {said}")
        assert [text for text in browser.complaints() if "/api/" not in text] == []


def test_accounts_that_failed_or_never_started_are_told_with_the_reason(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 0.1)
    model = recorded(4)
    unheard = ("equity", "wallet", "loop_lag_ms", "last_reconcile_age_s", "last_tick_age_s", "margin_ratio", "caps")
    for number, (state, reason) in enumerate(
        (("FATAL", "5 crashes within 60 s"), ("FATAL", "refused: the key may withdraw"), ("BACKOFF", "it ended"))
    ):
        row = model["accounts"][number]
        row |= {"health": None, "freshness": "offline", "reasons": [], **dict.fromkeys(unheard)}
        row["process"] |= {"state": state, "reason": reason, "pid": None, "uptime_s": None}
        row["strategies"] = [
            {"strat_id": each["strat_id"], "symbol": each["symbol"], "mode": each["mode"], "state": None}
            for each in row["strategies"]
        ]
    with served(tmp_path) as kit:
        kit.model = model
        browser.screen(1400, 900)
        log_in(browser, kit, 4)
        rows = browser.run("[...document.querySelectorAll('tr.account')].map((row) => row.innerText)")
        told = "\n".join(rows)
        for reason in ("5 crashes within 60 s", "refused: the key may withdraw", "it ended"):
            assert reason in told, rows
        assert told.count("failed") == 2
        assert "without 3 of 4" in browser.run(text(".totals")), "a total of a part says so"
        assert "NaN" not in told
        assert "undefined" not in told
        browser.run("location.hash = '#/account-000/alice-btc'")
        told = "does not run, it is failed: 5 crashes within 60 s"
        browser.shows(f"document.body.innerText.includes({told!r})", "why it has no ladder")
        browser.run("location.hash = '#/operations'")
        browser.shows("document.body.innerText.includes('refused: the key may withdraw')", "the process")
        assert not browser.run("/NaN|undefined|null/.test(document.querySelector('main').innerText)")
        assert [text for text in browser.complaints() if "/api/" not in text] == []


async def test_a_reader_that_dies_in_the_midst_of_an_answer_is_said_and_the_next_one_answers(tmp_path):
    Life(tmp_path, "alice").close()
    write_all(tmp_path)
    async with PageKit(tmp_path, hold_s=60.0) as kit:
        mine = await kit.login()
        assert await kit.status("GET", "/api/rows/fills", mine) == 200
        reader = kit.server._reader
        pid = reader.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.create_task(kit.status("GET", "/api/rows/equity", mine))
        while not reader._turn.locked():
            await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert await asked == 503
        assert await kit.status("GET", "/api/rows/equity", mine) == 200


def slow_socket(kit: PageKit) -> socket.socket:
    """A connection that takes very little at a time."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    slow.connect(("127.0.0.1", kit.server.port))
    return slow


@pytest.mark.parametrize("path", ["/api/rows/fills?format=csv", "/api/events"])
async def test_whoever_takes_a_byte_now_and_then_is_cut_and_keeps_nobody_waiting(tmp_path, monkeypatch, caplog, path):
    """A file: it lies on the disk without a name, the records are free. A stream: its viewer is forgotten."""
    monkeypatch.setattr(record_routes, "WRITE_S", 0.3)
    monkeypatch.setattr(web_server, "WRITE_S", 0.3)
    monkeypatch.setattr(status_feed, "POLL_S", 0.02)
    life = Life(tmp_path, "alice")
    for _ in range(200):
        life.fill("Buy", "100", "2", strategy="s" * 60)
    life.close()
    write_all(tmp_path)
    async with PageKit(tmp_path, hold_s=60.0) as kit:
        mine = await kit.login()
        made = kit.server._records
        ask = kit.server._reader.ask

        async def large(asked, **more):
            """As if the file were of a hundred thousand rows: more than the sockets between us take."""
            reply = await ask(asked, **more)
            if reply.file:
                with open(reply.file, "ab") as file:
                    file.truncate(64_000_000)
            return reply

        monkeypatch.setattr(kit.server._reader, "ask", large)
        kit.model = recorded()
        slow = slow_socket(kit)
        lines = [f"GET {path} HTTP/1.1", f"Host: {kit.host}", *(f"{name}: {value}" for name, value in mine.items())]
        slow.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        begun = (lambda: made._downloads) if "rows" in path else (lambda: kit.server.feed.viewers)
        while not begun():
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(slow.recv, 1) == b"H"
        if "rows" in path:
            assert await kit.status("GET", "/api/rows/equity", mine) == 200, "others have their turn"
        number = 0
        while begun():
            number += 1
            kit.model["reasons"] = [str(number) * 300_000]
            await asyncio.sleep(0.02)
        assert list((tmp_path / "web" / "downloads").glob("*")) == []
        assert not [line for line in caplog.records if line.exc_info]
        with contextlib.closing(slow):
            assert await kit.status("GET", "/healthz") == 200

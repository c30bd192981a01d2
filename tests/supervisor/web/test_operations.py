"""What the Operations view is told: settings without secrets, backtests, reports that can do nothing as the page."""

from __future__ import annotations

import os
from pathlib import Path

from supervisor.web.report_shelf import LARGEST, read_report, shelf
from supervisor.web.web_server import PAGE_KEY

from .page_kit import PageKit

SECTIONS = [
    {"section": "file", "name": "", "values": [{"key": "environment", "value": "paper", "kind": "own", "line": 1}]},
    {"section": "account", "name": "alice", "values": [{"key": "api_key", "value": "set", "kind": "own", "line": 2}]},
]


def filled(place: Path) -> None:
    for directory, name, text in (
        ("backtests", "wide.duckdb", "x"),
        ("backtests", "wide-2.duckdb", "x"),
        ("backtests", "wide.duckdb.wal", "x"),
        ("reports", "wide-alice-2026.html", "<script>1</script>"),
        ("reports", "wide-2-alice-2026.html", "second"),
        ("reports", "bob-2026.html", "of bob"),
        ("reports", "notes.txt", "hush-hush-7"),
    ):
        (place / directory).mkdir(exist_ok=True)
        (place / directory / name).write_text(text)


async def test_it_names_backtests_with_their_reports_and_the_sections_of_what_is_in_force(tmp_path):
    filled(tmp_path)
    async with PageKit(tmp_path) as kit:
        kit.answers["settings"] = {"ok": True, "file": "/conf/g.yaml", "sections": SECTIONS}
        mine = await kit.login()
        async with kit.request("GET", "/api/operations", mine) as answer:
            told = await answer.json()
        assert {run["name"]: run["reports"] for run in told["backtests"]} == {
            "wide": ["wide-alice-2026"], "wide-2": ["wide-2-alice-2026"]
        }  # fmt: skip
        assert "report --run wide" in told["backtests"][-1]["command"]
        assert [report["name"] for report in told["reports"]] == ["bob-2026"]
        assert (told["file"], told["problem"]) == ("/conf/g.yaml", "")
        assert [(each["section"], each["name"]) for each in told["settings"]] == [("file", ""), ("account", "alice")]
        for _ in range(3):
            async with kit.request("GET", "/api/settings?of=alice", mine) as answer:
                assert await answer.json() == SECTIONS[1]["values"]
        assert await kit.status("GET", "/api/settings?of=nobody", mine) == 404
        assert [each["op"] for each in kit.given] == ["settings"], "asked for once, while nothing changes"


async def test_settings_are_asked_for_again_when_another_configuration_is_in_force_and_a_refusal_is_told(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        kit.answers["settings"] = {"ok": False, "error": "the file is refused as it is now: line 3"}
        async with kit.request("GET", "/api/operations", mine) as answer:
            assert (await answer.json())["problem"] == "the file is refused as it is now: line 3"
        assert await kit.status("GET", "/api/settings?of=alice", mine) == 404
        kit.answers["settings"] = {"ok": True, "file": "f", "sections": SECTIONS}
        kit.server._operations._clock = lambda: 1e9
        assert await kit.status("GET", "/api/settings?of=alice", mine) == 200
        first = len(kit.given)
        kit.server._operations._state = lambda: {"hash": "another"}
        kit.server._operations._clock = lambda: 2e9
        assert await kit.status("GET", "/api/settings?of=alice", mine) == 200
        assert len(kit.given) == first + 1


async def test_a_report_is_sent_to_its_login_alone_and_shut_in(tmp_path):
    filled(tmp_path)
    async with PageKit(tmp_path) as kit:
        mine, other = await kit.login(), await kit.login()
        cookie, key = {"Cookie": mine["Cookie"]}, mine[PAGE_KEY]
        async with kit.request("POST", "/api/report", cookie, data={"key": key, "name": "wide-alice-2026"}) as answer:
            assert (answer.status, await answer.text()) == (200, "<script>1</script>")
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("sandbox allow-scripts; default-src 'none';")
            assert "allow-same-origin" not in policy
            assert "connect-src" not in policy, "so that default-src holds: it can ask nobody"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"

        async def code(headers: dict[str, str], **form: str) -> int:
            return await kit.status("POST", "/api/report", headers, data=form)

        name = "wide-alice-2026"
        assert await code(cookie, name=name) == 401
        assert await code(cookie, key=other[PAGE_KEY], name=name) == 401
        assert await code({"Cookie": other["Cookie"]}, key=key, name=name) == 401
        assert await code({PAGE_KEY: key}, key=key, name=name) == 401, "the cookie is needed, too"
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            assert await code({**cookie, "Origin": origin}, key=key, name=name) == 403
        assert await kit.status("GET", f"/api/report?key={key}&name={name}", cookie) == 401
        assert await kit.status("POST", "/api/report", mine, json={"key": key, "name": name}) == 415
        for wrong in (
            "",
            "notes",
            "../web/metrics_token",
            "..",
            "/etc/passwd",
            "wide-alice-2026.html",
            "wide\0",
            "%2e",
        ):
            assert await code(cookie, key=key, name=wrong) == 404


def test_what_is_no_report_of_ours_is_not_on_the_shelf(tmp_path):
    assert shelf(tmp_path) == {"backtests": [], "reports": []}
    filled(tmp_path)
    reports = tmp_path / "reports"
    (reports / "link.html").symlink_to("/etc/passwd")
    (reports / "folder.html").mkdir()
    os.mkfifo(reports / "pipe.html")
    (reports / "line\nbreak.html").write_text("x")
    with (reports / "huge.html").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert {row["name"] for row in shelf(tmp_path)["reports"]} == {"bob-2026", "huge"}
    for name in ("link", "folder", "pipe", "line\nbreak", "huge", "nothing"):
        assert read_report(tmp_path, name) is None
    assert read_report(tmp_path, "bob-2026") == b"of bob"

"""/metrics: the token of the file and nothing else opens it, and what it says is the model's."""

from __future__ import annotations

import asyncio
import stat
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor.metrics.metric_text import exposition
from supervisor.metrics.metrics_token import token_path
from supervisor.web import metrics_door, status_feed
from supervisor.web.metrics_door import FAILURES
from supervisor.web.model_changes import shown

from .page_kit import PageKit, recorded


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_the_token_of_the_file_opens_it(tmp_path, monkeypatch):
    monkeypatch.setattr(status_feed, "POLL_S", 3600.0)
    async with PageKit(tmp_path) as kit:
        path = token_path(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        mine = bearer(path.read_text().strip())
        async with kit.request("GET", "/metrics", mine) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            families = {each.name: each for each in text_string_to_metric_families(await answer.text())}
        equity = {each.labels["account"]: each.value for each in families["gridbot_account_equity_usdt"].samples}
        assert equity == {row["account"]: float(row["equity"]) for row in recorded()["accounts"]}
        for _ in range(20):
            assert await kit.status("GET", "/metrics", mine) == 200
        assert kit.asked == 1, "once in `POLL_S` for all who look, and never for each scrape"
        assert await kit.status("POST", "/metrics", mine) == 405


async def test_the_token_may_be_in_a_file_of_the_configuration_and_a_scrape_holds_up_no_page(tmp_path, monkeypatch):
    path, begun, go_on = tmp_path / "scrape" / "token", threading.Event(), threading.Event()

    def slow(model):
        begun.set()
        assert go_on.wait(60)
        return exposition(model)

    monkeypatch.setattr(metrics_door, "exposition", slow)
    async with PageKit(tmp_path, metrics_token_file=path) as kit:
        assert not token_path(tmp_path).exists()
        mine = bearer(path.read_text().strip())
        scrapes = [asyncio.create_task(kit.status("GET", "/metrics", mine)) for _ in range(3)]
        assert await asyncio.to_thread(begun.wait, 60)
        assert await kit.status("GET", "/healthz") == 200, "while the text is made"
        assert not any(scrape.done() for scrape in scrapes)
        go_on.set()
        assert await asyncio.gather(*scrapes) == [200] * 3


async def test_nobody_else_gets_in_and_nobody_keeps_the_right_one_out(tmp_path):
    async with PageKit(tmp_path) as kit:
        token = token_path(tmp_path).read_text().strip()
        login = await kit.login()
        wrong = [{}, login, bearer(token[:-1]), bearer(""), {"Authorization": f"Basic {token}"}, {"Cookie": token}]
        for headers in wrong:
            assert await kit.status("GET", "/metrics", headers) == 401
        assert await kit.status("GET", f"/metrics?token={token}") == 401
        codes = [await kit.status("GET", "/metrics", bearer("x")) for _ in range(FAILURES)]
        assert codes[-1] == 429
        assert kit.asked == 0
        assert await kit.status("GET", "/metrics", bearer(token)) == 200
        assert await kit.status("GET", "/metrics", {**bearer(token), "Host": "evil.example"}) == 403
        twice = (f"GET /metrics HTTP/1.1\r\nHost: {kit.host}\r\nAuthorization: Bearer x\r\n"
                 f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n")  # fmt: skip
        assert (await kit.raw(twice.encode())).startswith(b"HTTP/1.1 400")


async def test_without_a_supervisor_it_says_so(tmp_path):
    async with PageKit(tmp_path) as kit:
        kit.model = None
        async with kit.request("GET", "/metrics", bearer(token_path(tmp_path).read_text().strip())) as answer:
            assert [line for line in (await answer.text()).splitlines() if line[0] != "#"] == ["gridbot_up 0.0"]


async def test_a_token_that_others_may_read_opens_nothing_and_the_page_starts(tmp_path, caplog):
    path = token_path(tmp_path)
    path.parent.mkdir()
    path.write_text("a" * 40)
    path.chmod(0o644)
    async with PageKit(tmp_path) as kit:
        assert await kit.status("GET", "/metrics", bearer("a" * 40)) == 401
        assert await kit.status("GET", "/metrics", bearer("")) == 401
        assert await kit.status("GET", "/healthz") == 200
    assert "remove the file" in caplog.text


@pytest.mark.parametrize("counts", [{}, {"orders_sent": 3}])
def test_no_page_is_told_the_counts(counts):
    model = recorded()
    model["accounts"][0]["counts"] = counts
    assert "counts" not in shown(model)["accounts"][0]
    assert shown(model)["accounts"][0]["equity"] == model["accounts"][0]["equity"]
    assert model["accounts"][0]["counts"] == counts, "the model itself has them still"

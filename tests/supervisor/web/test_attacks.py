"""Whoever is not its user gets nothing from the page: each attack against the real server, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from supervisor.web import open_connections, web_server
from supervisor.web.logins import FAILURES, make_code
from supervisor.web.page_files import page_files
from supervisor.web.status_feed import MOST_VIEWERS
from supervisor.web.web_server import PAGE_KEY

from .page_kit import PageKit

SECRET = b"10000.808507"
"""A figure of the recorded model."""
OPEN = {"/healthz", "/login"}


async def test_nothing_with_a_figure_is_shown_without_a_login(tmp_path):
    async with PageKit(tmp_path) as kit:
        async with kit.request("GET", "/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with kit.request("GET", "/") as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/login")
        paths = {path for _, path, _ in kit.server._routes()}
        for path in paths - OPEN - {"/", "/static/{name:.+}"}:
            for verb in ("GET", "POST"):
                assert await kit.status(verb, path) == 401, "below /api/, also by a verb that is none of its own"
        for name in page_files():
            async with kit.request("GET", f"/static/{name}") as answer:
                assert answer.status == 200
                assert SECRET not in await answer.read()
        assert kit.asked == 0, "the supervisor was never asked for strangers"


async def test_cookie_and_page_key_open_the_status_and_each_alone_opens_nothing(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine, other = await kit.login(), await kit.login()
        async with kit.request("GET", "/api/status", mine) as answer:
            assert SECRET in await answer.read()
        cookie, key = mine["Cookie"], mine[PAGE_KEY]
        name, value = cookie.split("=", 1)
        for stolen in (
            {"Cookie": cookie},
            {PAGE_KEY: key},
            {"Cookie": cookie, PAGE_KEY: value},
            {"Cookie": cookie, PAGE_KEY: other[PAGE_KEY]},
            {"Cookie": f"{name}={key}", PAGE_KEY: key},
            {"Cookie": f"{name}={value[:-1]}", PAGE_KEY: key},
            {"Cookie": f"{name}=", PAGE_KEY: key},
            {"Cookie": f"gridbot_1={value}", PAGE_KEY: key},
            {"Cookie": cookie, PAGE_KEY: ""},
        ):
            assert await kit.status("GET", "/api/status", stolen) == 401
        async with kit.request("GET", f"/api/status?key={key}&{cookie}") as answer:
            assert answer.status == 401, "nothing in an address counts"
        assert await kit.status("POST", "/api/logout", mine) == 200
        assert await kit.status("GET", "/api/status", mine) == 401
        assert await kit.status("GET", "/api/status", other) == 200


async def test_the_cookie_is_for_this_page_alone(tmp_path):
    for is_secure in (False, True):
        async with PageKit(tmp_path, is_secure=is_secure) as kit:
            async with kit.request("POST", "/login", data={"code": make_code(tmp_path)}) as answer:
                cookie = answer.headers["Set-Cookie"]
            assert cookie.startswith(f"gridbot_{kit.server.port}=")
            assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
            assert ("Secure" in cookie) is is_secure
            assert "Domain" not in cookie


async def test_another_run_of_the_process_knows_no_session_of_before(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
    async with PageKit(tmp_path) as kit:
        value = mine["Cookie"].partition("=")[2]
        stale = {**mine, "Cookie": f"gridbot_{kit.server.port}={value}"}
        assert await kit.status("GET", "/api/status", stale) == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.7", "[::2]:80", "localhost@evil.example", "0.0.0.0"]
)
async def test_a_name_that_was_made_to_lead_here_is_refused(tmp_path, host):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        for verb, path in (("GET", "/api/status"), ("GET", "/"), ("GET", "/healthz"), ("POST", "/login")):
            assert await kit.status(verb, path, {**mine, "Host": host}) == 403
        for fine in (kit.host, f"localhost:{kit.server.port}", "127.0.0.1"):
            assert await kit.status("GET", "/api/status", {**mine, "Host": fine}) == 200


@pytest.mark.parametrize(
    "more",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda more: "=".join(next(iter(more.items()))),
)
async def test_a_page_of_another_site_or_port_asks_and_posts_in_vain_even_with_the_login(tmp_path, more):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        for verb, path in (("GET", "/api/status"), ("GET", "/api/events"), ("POST", "/api/logout")):
            assert await kit.status(verb, path, {**mine, **more}) == 403
        assert await kit.status("OPTIONS", "/api/logout", {**more, "Access-Control-Request-Method": "POST"}) in (
            401,
            403,
        )
        ours = {"Origin": f"http://{kit.host}", "Sec-Fetch-Site": "same-origin"}
        assert await kit.status("POST", "/api/logout", {**mine, **ours}) == 200


async def test_a_login_is_posted_by_our_own_page_or_a_file_and_by_no_other_site(tmp_path):
    async with PageKit(tmp_path) as kit:
        for origin in ("https://evil.example", "http://127.0.0.1:1", "file://"):
            form = {"code": make_code(tmp_path)}
            assert await kit.status("POST", "/login", {"Origin": origin}, data=form) == 403
            assert await kit.status("GET", "/login", params=form) == 200, "and no address logs in"
        for origin in ("null", f"http://{kit.host}"):
            form = {"code": make_code(tmp_path)}
            assert await kit.status("POST", "/login", {"Origin": origin}, data=form) == 200
            assert await kit.status("POST", "/login", {"Origin": origin}, data=form) == 403, "a code counts once"


async def test_guessing_is_stopped(tmp_path):
    async with PageKit(tmp_path) as kit:
        for _ in range(FAILURES[0] - 1):
            assert await kit.status("POST", "/login", data={"code": "AAAAA"}) == 403
        assert await kit.status("POST", "/login", data={"code": "AAAAA"}) == 429
        async with kit.request("POST", "/login", data={"code": make_code(tmp_path)}) as answer:
            assert answer.status == 429, "also the right one: that it is right must not be told"
            assert 1 <= int(answer.headers["Retry-After"]) <= 62


@pytest.mark.parametrize(
    ("data", "headers", "code"),
    [
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"code=A", {"Content-Type": "text/plain"}, 415),
        (b"--b\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 415),
        (b"code=" + b"A" * 20_000, {"Content-Type": "application/x-www-form-urlencoded"}, 413),
        (b"code=%ff%00%zz&code=2", {"Content-Type": "application/x-www-form-urlencoded"}, 403),
        (b"", {"Content-Type": "application/x-www-form-urlencoded"}, 403),
        (b"code=\xff", {"Content-Type": "application/x-www-form-urlencoded"}, 403),
        (b"code=A", {"Content-Type": "application/x-www-form-urlencoded; charset=none"}, 403),
        (b"code=A", {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}, 415),
    ],
    ids=["json", "text", "multipart", "huge", "garbage", "nothing", "no_utf8", "no_charset", "packed"],
)
async def test_a_login_is_a_small_form_and_nothing_else(tmp_path, data, headers, code, caplog):
    async with PageKit(tmp_path) as kit:
        assert await kit.status("POST", "/login", headers, data=data) == code
    assert not [line for line in caplog.records if line.exc_info], "nobody fills the log with tracebacks"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../web_server.py",
        "/static/..%2f..%2fweb_server.py",
        "/static/%2e%2e/%2e%2e/web_server.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/vendor/../../logins.py",
        "/static/page.css%00.js",
        "/static/",
        "//evil.example/",
        "/static/vendor/htm/ORIGIN",
        "/api/../static/../../../etc/passwd",
    ],
)
async def test_no_path_leads_out_of_the_page(tmp_path, path):
    async with PageKit(tmp_path) as kit:
        request = f"GET {path} HTTP/1.1\r\nHost: {kit.host}\r\nConnection: close\r\n\r\n"
        answer = await kit.raw(request.encode())
        assert answer.split(b" ", 2)[1] in (b"400", b"401", b"404")
        assert b"root:" not in answer
        assert b"import" not in answer


HOST = b"Host: 127.0.0.1\r\n"
LOGIN = b"POST /login HTTP/1.1\r\n" + HOST
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /login HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        + HIDDEN,
        LOGIN + b"Content-Length: 0\r\nContent-Length: 49\r\n\r\n" + HIDDEN,
        LOGIN + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + HIDDEN,
        LOGIN + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        LOGIN + b"Content-Length: +0\r\n\r\n" + HIDDEN,
        LOGIN + b"Content-Length: -1\r\n\r\n" + HIDDEN,
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n bad\r\n\r\n" + HIDDEN,
        b"GET / HTTP/1.1\r\n" + HOST + HOST.replace(b"127.0.0.1", b"evil.example") + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: a\r\n" % number for number in range(5000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
    ],
    ids=[
        *(
            "both_lengths",
            "two_lengths",
            "xchunked",
            "no_chunk",
            "space_before_colon",
            "plus_length",
            "minus_length",
            "bare_newline",
        ),
        *("two_hosts", "no_host", "foreign_target", "long_path", "long_header", "many_headers", "tls", "nothing"),
    ],
)
async def test_a_request_that_two_programs_could_read_differently_is_refused_and_hides_no_other(
    tmp_path, request_bytes, monkeypatch, caplog
):
    """None is a traceback in the log, with what may be a secret of the request."""
    monkeypatch.setattr(open_connections, "IDLE_S", 0.1)
    monkeypatch.setattr(open_connections, "SWEEP_S", 0.05)
    async with PageKit(tmp_path) as kit:
        answer = await asyncio.wait_for(kit.raw(request_bytes), 60)
        assert b" 200 " not in answer.split(b"\r\n", 1)[0]
        assert b"ok\n" not in answer
        assert b"Traceback" not in answer
        assert not [line for line in caplog.records if line.exc_info]
        assert await kit.status("GET", "/healthz") == 200


@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
async def test_whoever_sends_half_a_request_is_cut(tmp_path, monkeypatch, begin):
    monkeypatch.setattr(open_connections, "IDLE_S", 0.2)
    monkeypatch.setattr(open_connections, "SWEEP_S", 0.05)
    async with PageKit(tmp_path) as kit:
        assert await asyncio.wait_for(kit.raw(begin), 60) == b""
        assert await asyncio.wait_for(kit.raw(HIDDEN, begin), 60) != b"", "also after a whole one"


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(web_server, "READ_S", 0.2)
    async with PageKit(tmp_path) as kit:
        head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 30\r\n"
        form = b"Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\ncode="
        answer = await asyncio.wait_for(kit.raw(head + form), 60)
        assert answer.split(b" ", 2)[1] == b"408"


async def test_connections_are_bounded_and_those_who_ask_nothing_give_way(tmp_path):
    async with PageKit(tmp_path) as kit:
        idle = [await asyncio.open_connection("127.0.0.1", kit.server.port) for _ in range(open_connections.MOST + 10)]
        mine = await kit.login()
        assert await kit.status("GET", "/api/status", mine) == 200
        assert len(kit.server._connections or ()) <= open_connections.MOST
        for _, writer in idle:
            writer.close()


async def test_pages_that_look_are_bounded_and_one_that_reads_nothing_is_cut(tmp_path, monkeypatch):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        async with asyncio.TaskGroup() as group:
            end = asyncio.Event()

            async def look() -> int:
                async with kit.request("GET", "/api/events", mine) as answer:
                    if answer.status == 200:
                        await answer.content.readline()
                        await end.wait()
                    return answer.status

            pages = [group.create_task(look()) for _ in range(MOST_VIEWERS + 5)]
            while sum(page.done() for page in pages) < 5 or kit.server.feed.viewers < MOST_VIEWERS:
                await asyncio.sleep(0.01)
            end.set()
        codes = [page.result() for page in pages]
        assert sorted(codes) == [200] * MOST_VIEWERS + [503] * 5
        while kit.server.feed.viewers:
            await asyncio.sleep(0.01)


async def test_a_stream_ends_with_its_session(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        async with kit.request("GET", "/api/events", mine) as stream:
            assert await stream.content.readline() == b"id: 1\n"
            assert await kit.status("POST", "/api/logout", mine) == 200
            assert kit.model is not None
            kit.model["accounts"][0]["equity"] = "1"
            rest = await asyncio.wait_for(stream.content.read(), 60)
            assert b'"equity"],"1"' not in rest.replace(b" ", b"")


async def test_every_answer_has_the_headers_that_keep_other_sites_out(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        for path in ("/", "/login", "/healthz", "/nothing", "/static/app.js", "/api/status", "/api/events"):
            async with kit.request("GET", path, mine) as answer:
                headers = answer.headers
                assert headers["Content-Security-Policy"].startswith("default-src 'self';")
                assert "unsafe" not in headers["Content-Security-Policy"]
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert headers["Cache-Control"] in ("no-store", "no-cache")
                assert "Access-Control-Allow-Origin" not in headers
                assert "aiohttp" not in headers["Server"]


async def test_a_supervisor_without_an_answer_is_said_and_not_hidden(tmp_path):
    async with PageKit(tmp_path) as kit:
        mine = await kit.login()
        kit.model = None
        async with kit.request("GET", "/api/status", mine) as answer:
            assert answer.status == 503
            assert "no room" in await answer.text()

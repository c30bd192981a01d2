"""The page with TLS files: nothing in the clear, the cookie for TLS alone, and words for files that are none."""

from __future__ import annotations

import pytest

from supervisor.exit_codes import ExitCode
from supervisor.web import web_process
from supervisor.web.logins import make_code
from supervisor.web.web_spec import WebSpec
from tests.bybit.test_tls import false_certificate

from .page_kit import PageKit


async def test_with_tls_files_nothing_is_said_in_the_clear(tmp_path):
    pem = false_certificate(tmp_path)
    async with PageKit(tmp_path, tls_cert=pem, tls_key=pem, is_secure=True) as kit:
        assert kit.server.url.startswith("https://127.0.0.1:")
        async with kit.request("POST", "/login", data={"code": make_code(tmp_path)}, ssl=False) as answer:
            assert answer.status == 200
            assert "Secure" in answer.headers["Set-Cookie"]
        assert b"ok" not in await kit.raw(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        ours = {"Origin": f"https://{kit.host}"}
        assert await kit.status("POST", "/login", ours, data={"code": make_code(tmp_path)}, ssl=False) == 200


async def test_names_of_a_proxy_are_ours_and_no_others(tmp_path):
    async with PageKit(tmp_path, names=("bots.example",), is_secure=True) as kit:
        mine = await kit.login()
        host = {"Host": "bots.example", "Origin": "https://bots.example"}
        assert await kit.status("GET", "/api/status", {**mine, **host}) == 200
        assert await kit.status("GET", "/api/status", {**mine, **host, "Host": "other.example"}) == 403


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"tls_cert": "no.pem", "tls_key": "no.pem"}, "web.tls_cert and web.tls_key"),
        ({"tls_cert": "text.pem", "tls_key": "text.pem"}, "web.tls_cert and web.tls_key"),
        ({"host": "203.0.113.7"}, "correct web.host"),
    ],
    ids=["no file", "no certificate", "not an address of ours"],
)
async def test_where_it_cannot_listen_it_says_what_to_correct_and_tries_again(tmp_path, spec, words):
    (tmp_path / "text.pem").write_text("text")
    placed = {key: tmp_path / value if "tls" in key else value for key, value in spec.items()}
    with pytest.raises(OSError) as failed:
        async with PageKit(tmp_path, **placed):
            pass
    assert words in web_process._why(WebSpec(tmp_path, **placed), failed.value)
    assert web_process._code(failed.value) is ExitCode.REFUSED

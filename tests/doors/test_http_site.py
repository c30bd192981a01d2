"""Which Host and Origin are ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridbot.doors.http_site import Site
from tests.case_table import case_table

OURS = "127.0.0.1:8484"


@case_table("host", [OURS, "localhost:8484", "[::1]:8484", "LOCALHOST", "127.0.0.1", "[::1]", "127.8.8.8:1"])
def test_clients_that_were_given_a_loopback_address_are_answered(host: str) -> None:
    assert Site("127.0.0.1").refuses({"HOST": host}) == ""
    assert Site("127.0.0.1").refuses({"HOST": host, "ORIGIN": f"http://{host}"}) == "", "as pybit's sockets send it"
    assert Site("127.0.0.1").refuses({}) == "", "a browser always names its Host"


@case_table(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8484",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8484",
            "10.0.0.7:8484",
        ),
        *(
            "user@127.0.0.1",
            "127.0.0.1:80:80",
            "[::1",
            "[::1]x",
            "[]",
            "127.0.0.1:x",
            "::1",
            "0.0.0.0",
            "127.1",
            "x" * 9000,
        ),
        *("127.0.0.1:²", "\x00", ":8484", "localhost, evil.example"),
    ],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert "Host" in Site("127.0.0.1").refuses({"HOST": host})


def test_a_host_that_is_configured_is_ours_and_an_address_where_all_are() -> None:
    assert Site("exchange.lan").is_called("Exchange.LAN:8484")
    assert Site("10.0.0.7").is_called("10.0.0.7:8484")
    assert not Site("10.0.0.7").is_called("10.0.0.8:8484")
    assert Site("0.0.0.0").is_called("10.0.0.8:8484"), "no name leads to an address, so no page can make one ours"
    assert not Site("0.0.0.0").is_called("evil.example")
    assert not Site("").is_called("")


@case_table(
    "more",
    [
        *({"ORIGIN": "https://evil.example"}, {"ORIGIN": "null"}, {"ORIGIN": ""}, {"ORIGIN": "http://localhost:3000"}),
        *({"ORIGIN": "http://127.0.0.1:8485"}, {"ORIGIN": f"http://{OURS}, https://evil.example"}),
        *({"SEC-FETCH-SITE": "cross-site"}, {"SEC-FETCH-SITE": "same-site"}, {"SEC-FETCH-SITE": ""}),
    ],
)
def test_a_page_of_another_site_is_refused_whatever_host_it_names(more: dict[str, str]) -> None:
    assert "web pages" in Site("127.0.0.1").refuses({"HOST": OURS, **more})


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    site = Site("127.0.0.1")
    assert isinstance(site.refuses({"HOST": text, "ORIGIN": text}), str)


def test_names_that_lead_to_a_server_are_its_own_and_a_refusal_says_which_server_it_is() -> None:
    site = Site("10.0.0.7", ("bots.example",), what="this page", setting="web.names")
    assert site.is_called("Bots.example:443")
    assert site.is_called("10.0.0.7")
    assert not site.is_called("other.example")
    assert "this page" in site.refuses_host({"HOST": "other.example"})
    assert "web.names" in site.refuses_host({"HOST": "other.example"})
    assert site.refuses_origin({"HOST": "bots.example", "ORIGIN": "https://bots.example"}) == ""
    assert "this page" in site.refuses_origin({"HOST": "bots.example", "ORIGIN": "null"})

"""Instruments from another exchange's REST address, and from a file of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.paper.feed.catalogue import CatalogueError, read
from gridbot.paper.feed.market_setup import SetupError
from tests.paper.support import Venue, limit_order, manual_config, venue_of

RULES = {
    "price": 10,
    "tick_size": "0.002",
    "qty_step": "0.5",
    "max_order_qty": 700,
    "min_notional": 7,
    "mm_rate": "0.02",
}
QUESTIONS = ("instruments-info", "risk-limit", "tickers")


@pytest.fixture
def upstream() -> Iterator[Venue]:
    """An exchange with rules of its own: what `the live one` is in these tests."""
    market = {"source": "manual", "instruments": {"ABCUSDT": RULES}, "symbols": {"ABCUSDT": {}, "ETHUSDT": {}}}
    with venue_of(manual_config(market=market)) as running:
        running.set_price("ABCUSDT", "12.500")
        yield running


def listing_from(place: str, **symbols: Any) -> Any:
    market = {"source": "manual", "mark_halflife_s": 0, "instruments_from": place}
    return manual_config(market=market | {"symbols": symbols or {"ABCUSDT": {}}})


def published(venue: Venue) -> list[Any]:
    """What an exchange says about the symbol."""
    http = venue.http(None)
    answers = [http.get_instruments_info, http.get_risk_limit]
    return [answer(category="linear", symbol="ABCUSDT")["result"]["list"] for answer in answers]


def saved(venue: Venue, path: Path, *questions: str) -> str:
    """The file that the command line of docs/paper.md makes."""
    with path.open("a") as file:
        for what in questions:
            address = f"{venue.url}/v5/market/{what}?category=linear&symbol=ABCUSDT"
            file.write(requests.get(address, timeout=10).text)
    return str(path)


def test_rules_and_tiers_are_those_of_the_address(upstream: Venue) -> None:
    with venue_of(listing_from(upstream.url, ABCUSDT={}, LTCUSDT={})) as venue:
        assert published(venue) == published(upstream)
        ticker = venue.http(None).get_tickers(category="linear", symbol="ABCUSDT")["result"]["list"][0]
        assert ticker["lastPrice"] == "12.500"
        venue.http().place_order(**limit_order("ABCUSDT", "Buy", "1.5", "12.002", 1))
        assert len(venue.http(None).get_tickers(category="linear")["result"]["list"]) == 2  # LTC is a shipped one


def test_rules_and_tiers_are_those_of_the_file(upstream: Venue, tmp_path: Path) -> None:
    with venue_of(listing_from(saved(upstream, tmp_path / "saved.json", *QUESTIONS))) as venue:
        assert published(venue) == published(upstream)


def test_without_a_ticker_the_configuration_has_to_give_a_price(upstream: Venue, tmp_path: Path) -> None:
    path = saved(upstream, tmp_path / "saved.json", "instruments-info", "risk-limit")
    with pytest.raises(SetupError, match=r"symbols\.ABCUSDT: expected a price"):
        venue_of(listing_from(path)).__enter__()
    with venue_of(listing_from(path, ABCUSDT={"price": "13"})) as venue:
        assert published(venue) == published(upstream)


@pytest.mark.parametrize(
    "content", ["", "no json", '{"retCode": 0}', '{"retCode":0,"result":{"list":[{"x":1}]}}', "[]"]
)
def test_a_file_without_the_instrument_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(content)
    with pytest.raises(SetupError, match=r"saved\.json: expected answers|no instrument is known for ABCUSDT"):
        venue_of(listing_from(str(path))).__enter__()


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ('"tickSize":"0.002"', '"tickSize":"1e999999"'),
        ('"tickSize":"0.002"', '"tickSize":"٠.١"'),
        ('"tickSize":"0.002"', '"tickSize":null'),
        ('"symbol":"ABCUSDT"', f'"symbol":"{"A" * 1000}"'),
        ('"list":[', '"list":' + "[" * 3000),
        ('"list":[', '"list":[1,'),
    ],
)
def test_numbers_and_shapes_that_are_none_are_an_error_of_the_file(
    upstream: Venue, tmp_path: Path, part: str, instead: str
) -> None:
    path = tmp_path / "saved.json"
    saved(upstream, path, *QUESTIONS)
    content = path.read_text()
    assert part in content
    path.write_text(content.replace(part, instead, 1))
    with pytest.raises(CatalogueError, match="expected answers of market/instruments-info") as refused:
        read(path)
    assert len(str(refused.value)) < 1_000


def test_an_instrument_without_tiers_is_refused(upstream: Venue, tmp_path: Path) -> None:
    path = saved(upstream, tmp_path / "saved.json", "instruments-info")
    with pytest.raises(SetupError, match="ABCUSDT: no rows of market/risk-limit"):
        venue_of(listing_from(path)).__enter__()


def test_an_address_where_nobody_is_says_so(upstream: Venue) -> None:
    with venue_of(manual_config()) as gone:
        url = gone.url
    with pytest.raises(SetupError, match=r"instruments_from: expected instruments from .*is there a network"):
        venue_of(listing_from(url)).__enter__()


def test_the_configuration_leaves_rules_that_are_fetched_to_the_exchange(tmp_path: Path) -> None:
    market = "source: manual, symbols: {ABCUSDT: {price: 12}}"
    strategy = "{strat_id: s, account: dan, symbol: ABCUSDT, tick_size: 0.002, amount: 100}"
    path = tmp_path / "gridbot.yaml"
    text = f"environment: paper\naccounts: [{{name: dan}}]\nstrategies: [{strategy}]\npaper: {{market: {{{market}}}}}\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match="whose trading rules the paper exchange knows"):
        load_config(path)
    path.write_text(text.replace("source: manual", "source: manual, instruments_from: saved.json"))
    assert load_config(path).paper.market.instruments_from == str(tmp_path / "saved.json")

"""Accounts and strategies that a configuration left behind under their old names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gridbot.config.loading import load_config
from supervisor.store.left_behind import left_behind

CONFIG = """
environment: paper
accounts: [{name: alice, balance: 1000}, {name: bob, balance: 1000}]
strategies:
  - {strat_id: btc, account: alice, symbol: BTCUSDT}
  - {strat_id: eth, account: alice, symbol: ETHUSDT}
"""


def order(strategy: str, *, shadow: bool = False) -> dict[str, Any]:
    return {"strategy": strategy, "shadow": shadow}


def keep(place: Path, document: Any) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(orjson.dumps(document))


def told(tmp_path: Path, text: str = CONFIG) -> list[str]:
    path = tmp_path / "g.yaml"
    path.write_text(text)
    return list(left_behind(load_config(path, data_dir=str(tmp_path / "data"))))


def fill(home: Path) -> None:
    """As alice's worker leaves it: two orders of btc and a shadow one rest, btc is paused, the account is latched."""
    keep(home / "ledger.json", {"orders": [order("btc"), order("btc"), order("btc", shadow=True), order("eth")]})
    keep(home / "holds.json", {"strategies": {"btc": {"paused": {"reason": "by hand"}}}})
    keep(home / "latch.json", {"latched": "lost too much"})
    keep(home / "grids" / "btc.grid.json", {"strat_id": "btc"})
    (home.parents[1] / "journal" / home.name).mkdir(parents=True)


def test_a_new_directory_and_the_same_names_have_nothing_to_tell(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    fill(tmp_path / "data" / "state" / "alice")
    (tmp_path / "data" / "journal" / "_supervisor").mkdir()
    assert told(tmp_path) == []


def test_a_renamed_account_is_named_with_what_stays_behind(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "state" / "alice")
    [text] = told(tmp_path, CONFIG.replace("alice", "anna"))
    assert text.startswith("account alice: there are records and state of it in ")
    assert "(btc is paused; the loss limit has latched it: that ends with the name)" in text
    assert "3 orders of it rest" in text, "no shadow order rests anywhere"
    assert "Give it its name back" in text
    assert str(tmp_path / "data" / "journal" / "alice") in text


def test_an_account_that_left_only_a_journal_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "data" / "journal" / "carol").mkdir(parents=True)
    [text] = told(tmp_path)
    assert text.startswith("account carol: ")
    assert "no order of it rests" in text


def test_a_renamed_strategy_is_named_with_what_stays_behind(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "state" / "alice")
    [text] = told(tmp_path, CONFIG.replace("strat_id: btc", "strat_id: bitcoin"))
    assert text.startswith("strategy btc: account alice has state of it")
    assert "(it is paused: that ends with the name)" in text
    assert "2 orders of it rest" in text
    assert str(tmp_path / "data" / "state" / "alice" / "grids" / "btc.grid.json") in text


def test_a_strategy_without_a_file_is_known_by_its_orders_or_holds(tmp_path: Path) -> None:
    fill(tmp_path / "data" / "state" / "alice")
    [text] = told(tmp_path, CONFIG.replace("strat_id: eth", "strat_id: ether"))
    assert text.startswith("strategy eth: ")
    assert "1 order of it rests" in text


def test_files_that_cannot_be_read_are_their_workers_affair(tmp_path: Path) -> None:
    home = tmp_path / "data" / "state" / "alice"
    home.mkdir(parents=True)
    (home / "ledger.json").write_bytes(b"{torn")
    keep(home / "holds.json", {"strategies": [1]})
    keep(home / "latch.json", [])
    keep(home / "grids" / "x.grid.json", {"strat_id": 5})
    assert told(tmp_path) == []

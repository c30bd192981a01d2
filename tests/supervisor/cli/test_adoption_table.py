"""What `adopt` prints for people, of the worker's JSON and what it adds behind it."""

from __future__ import annotations

import json

import pytest

from supervisor.cli.adoption_table import document_of, table_of

ORDER = {
    "order_id": "x1", "order_link_id": "old-1\x1b[31m", "side": "Buy", "direction": "long", "price": "49900.1",
    "qty": "0.01", "filled": "0", "reduce_only": False, "fit": "near", "level": "49900",
    "why": "price off the ladder: 1 tick from the level 49900",
}  # fmt: skip
WANTED = {"side": "Sell", "direction": "short", "price": "50100", "qty": "0.01", "what": "open short"}


def answer(applied: bool = False, **changes: object) -> str:
    strategy = {
        "strategy": "btc", "symbol": "BTCUSDT", "held": True, "refused": "", "ladder_laid": False,
        "orders": [ORDER, {**ORDER, "order_link_id": "", "fit": "adopted", "why": ""}],
        "absent": [WANTED] * 12, **changes,
    }  # fmt: skip
    return json.dumps({"said": "1 would be adopted", "applied": applied, "strategies": [strategy]})


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_each_order_has_a_line_with_the_reason_and_what_is_absent_is_counted() -> None:
    text = table_of("alice", answer() + "; the disk did not take holds.json")
    assert text.startswith("alice: 1 would be adopted; the disk did not take holds.json\n\nbtc on BTCUSDT\n")
    assert "price off the ladder: 1 tick from the level 49900" in text
    assert "\x1b" not in text
    assert " none" in text, "no link id"
    assert "near misses stay as they are" in text
    assert "12 wanted and absent, would be placed when it goes on as far as caps and balance allow: Sell 0.01" in text
    assert text.endswith("and 2 more")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held": False}, "it is not paused"),
        ({"refused": "no price is known yet"}, "nothing can be adopted: no price is known yet"),
        ({"orders": []}, "no order of another program rests there"),
        ({"absent": []}, "everything that it wants rests"),
        ({"ladder_laid": True, "applied": True}, "its ladder lies on these orders now"),
    ],
)
def test_what_else_it_says(changes: dict[str, object], words: str) -> None:
    applied = bool(changes.pop("applied", False))
    assert words in table_of("alice", answer(applied, **changes))


def test_an_answer_that_is_no_json_is_shown_as_it_is() -> None:
    assert document_of("done") == {"strategies": [], "said": "done"}
    assert table_of("alice", "done") == "alice: done"

"""What `status --watch` shows at a size, and what keys change: no terminal needed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from supervisor.status.watch_view import KEYS, Segment, View, lines, page_of, rows_of, step, visible
from tests.case_table import case_table


def account(name: str, *strategies: dict[str, Any], state: str = "RUNNING", health: str | None = "healthy") -> Any:
    process = {"state": state, "reason": "it was killed"}
    return {"account": name, "process": process, "health": health, "reasons": ["slow"] if health != "healthy" else [],
            "equity": "1000.5", "last_tick_age_s": 0.1, "strategies": list(strategies)}  # fmt: skip


def strategy(name: str, state: str = "active", realised: str | None = "1.5", **more: Any) -> dict[str, Any]:
    return {"strat_id": name, "symbol": "BTCUSDT", "mode": "live", "state": state, "realised": realised,
            "unrealised": "-0.2", "open_orders": 9, "fills": 3, "last_price": "60000.1", **more}  # fmt: skip


def status(*accounts: Any, **more: Any) -> dict[str, Any]:
    supervisor = {"version": "0.1.0", "state": "running", "uptime_s": 3700.0}
    return {"supervisor": supervisor, "health": "healthy", "time": "2026-11-29T22:00:00.000Z", "reasons": [],
            "incidents": [], "accounts": list(accounts), **more}  # fmt: skip


FLEET = status(
    account("bob", strategy("sol", realised="-3"), strategy("ltc", realised=None)),
    account("alice", strategy("btc", realised="10"), strategy("eth", "paused", reason="paused by the operator")),
    account("carol", state="BACKOFF", health=None),
)


def shown(view: View = View(), width: int = 120, height: int = 24, found: Any = FLEET, **more: Any) -> list[str]:  # noqa: B008
    return ["".join(text for text, _ in line).rstrip() for line in lines(found, view, width, height, age_s=0.3, **more)]


def names(view: View) -> list[str]:
    return [row.cells["STRATEGY"] for row in visible(rows_of(FLEET), view)]


def press(*keys: str, view: View | None = None) -> View:
    view = view or View()
    for key in keys:
        view = step(view, key, len(visible(rows_of(FLEET), view)), page_of(FLEET, 24))
    return view


def test_the_screen_from_top_to_bottom() -> None:
    text = shown()
    assert len(text) == 24
    assert text[0] == "gridbot 0.1.0  running 1h01m  healthy  2026-11-29 22:00:00 UTC"
    assert text[1] == "3 accounts, 5 strategies, sorted by ACCOUNT, 2 not as they should be"
    assert text[2].split()[:5] == ["ACCOUNT", "STRATEGY", "SYMBOL", "MODE", "STATE"]
    assert [line.split()[:2] for line in text[3:8]] == [
        ["alice", "btc"],
        ["alice", "eth"],
        ["bob", "ltc"],
        ["bob", "sol"],
        ["carol", "-"],
    ]
    assert text[-1] == KEYS


def test_at_80_columns_the_important_ones_are_left_and_what_is_wrong_has_the_rest() -> None:
    text = shown(width=80)
    assert text[2].split() == [
        "ACCOUNT",
        "STRATEGY",
        "STATE",
        "PRICE",
        "ORDERS",
        "FILLS",
        "REALISED",
        "UNREALISED",
        "EQUITY",
    ]
    assert all(cell_len(line) <= 80 for line in text)
    assert "paused by the operator" in shown(width=160)[4]
    assert text[-1] == KEYS


@case_table(
    ("keys", "expected"),
    [
        ([], ["btc", "eth", "ltc", "sol", "-"]),
        (["r"], ["-", "ltc", "sol", "btc", "eth"]),
        (["s"], ["-", "btc", "eth", "ltc", "sol"]),
        (["s", "r"], ["sol", "ltc", "eth", "btc", "-"]),
        (["S"] * 4, ["ltc", "-", "sol", "eth", "btc"]),
        (["p"], ["eth", "-"]),
        ([*"/bob", "enter"], ["ltc", "sol"]),
        ([*"/OPERATOR"], ["eth"]),
        ([*"/bobx", "backspace", "enter"], ["ltc", "sol"]),
        ([*"/bob", "escape"], ["btc", "eth", "ltc", "sol", "-"]),
        ([*"/q"], []),
        (["p", "escape"], ["btc", "eth", "ltc", "sol", "-"]),
        (["x", "F5"], ["btc", "eth", "ltc", "sol", "-"]),
    ],
)
def test_keys_sort_and_filter(keys: list[str], expected: list[str]) -> None:
    view = press(*keys)
    found = names(view)
    if view.sort == "REALISED":
        assert found[2:] == expected[2:]
    else:
        assert found == expected


def test_scrolling_ends_at_both_ends_and_what_is_typed_is_shown() -> None:
    many = status(*(account(f"a{number:02d}", strategy("s")) for number in range(50)))
    rows = rows_of(many)
    view = View()
    for key, top in (
        ("up", 0),
        ("down", 1),
        ("page down", 21),
        ("end", 30),
        ("page down", 30),
        ("page up", 10),
        ("home", 0),
    ):
        view = step(view, key, len(rows), 20)
        assert view.top == top
    assert shown(View(filter="a0", typing=True), found=many)[-1] == "filter: a0_  Enter keeps, Esc clears"
    assert shown(View(filter="a0"), found=many)[-1] == f"{KEYS}  filter: a0 (10)"
    assert shown(View(top=30), found=many)[3].startswith("a30")


def test_alerts_and_reasons_stand_below_and_leave_room_for_rows() -> None:
    alert = {"account": "alice", "strategy": "btc", "child": "", "level": "ERROR", "text": "halted", "id": "k3x9aq"}
    taken = {**alert, "acked": {"by": "ann", "at": ""}, "id": "taken"}
    muted = {**alert, "muted_until": "2026", "id": "muted"}
    text = shown(found={**FLEET, "reasons": ["carol is BACKOFF"] * 30, "incidents": [alert, taken, muted]})
    assert text[1].endswith("2 alerts open")
    assert text[-2] == "! carol is BACKOFF"
    assert sum(line.startswith("! carol") for line in text) == 8
    few = shown(found={**FLEET, "incidents": [alert, taken, muted]})
    assert few[-2] == "! k3x9aq ERROR alice btc: halted"
    assert not any("taken" in line or "muted" in line for line in few)


def test_a_lost_supervisor_and_one_that_has_not_answered_yet() -> None:
    assert shown(lost="no supervisor runs in data")[0].startswith(
        "LOST: no supervisor runs in data; what is shown is 0s old"
    )
    old = ["".join(text for text, _ in line) for line in lines(FLEET, View(), 120, 24, age_s=7.4)]
    assert old[0].endswith("7 s old")
    waiting = lines(None, View(), 80, 10, age_s=None)
    assert (len(waiting), waiting[1]) == (10, [Segment("asking the supervisor ...")])
    assert lines(None, View(), 80, 10, age_s=None, lost="nobody")[1] == [Segment("nobody", "bad")]


@given(
    st.integers(20, 200),
    st.integers(6, 60),
    st.lists(
        st.sampled_from([*"/sSrpjkgGq", "up", "page down", "end", "enter", "escape", "backspace", "ü", "漢"]),
        max_size=12,
    ),
    st.booleans(),
)
def test_whatever_is_pressed_nothing_is_wider_or_higher_than_the_screen(
    width: int, height: int, keys: list[str], wide: bool
) -> None:
    found = status(
        account("漢字" * 20 if wide else "alice", strategy("x" * 100, reason="漢" * 200)), *FLEET["accounts"]
    )
    view = View()
    for key in keys:
        view = step(view, key, len(visible(rows_of(found), view)), page_of(found, height))
    text = lines(found, view, width, height, age_s=1.0)
    assert len(text) == height
    assert all(sum(cell_len(part) for part, _ in line) <= width for line in text)

"""What is refused of groups, of the caps of fleet, groups and accounts, and of `dead_man`: each with its line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refusal = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("night", "4: accounts[1].groups: expected a list (lines starting with `- `), got `night`"),
        ("[vip, 'a b']", "4: accounts[1].groups[1]: expected a label of 1 to 32 letters, digits, _ or -"),
        ("['*']", "4: accounts[1].groups[0]: expected a label of 1 to 32 letters"),
        ("[vip, vip]", "4: accounts[1].groups: expected each group once, got `vip` twice; remove one of the two"),
        ("[vip, Night]", "4: accounts[1].groups[1]: expected a group that is spelled as in accounts[0], `night`, got"),
        ("[{vip: 1}]", "4: accounts[1].groups[0]: expected a text"),
    ],
)
def test_groups_are_labels(refusal: Refusal, groups: str, expected: str) -> None:
    accounts = f"accounts:\n  - {{name: x, groups: [night]}}\n  - {{name: y, groups: {groups}}}"
    (problem,) = refusal(f"environment: paper\n{accounts}")
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("fleet: {caps: {max_notional: much}}", 4, "fleet.caps.max_notional: expected USDT such as 20000"),
        ("fleet: {caps: {max_drawdown: 120%}}", 4, "fleet.caps.max_drawdown: expected USDT such as 500, a share"),
        ("fleet: {caps: {on_breach: kill}}", 4, "fleet.caps.on_breach: expected one of reduce, cancel, flatten"),
        (
            "fleet: {caps: {max_margin_ratio: 0.5}}",
            4,
            "fleet.caps.max_margin_ratio: expected one of max_drawdown, max_n",
        ),
        (
            "fleet:\n  groups:\n    nigt: {caps: {}}",
            6,
            "fleet.groups.nigt: expected a label that an account has (night)",
        ),
        (
            "fleet:\n  groups:\n    night: {cap: 1}",
            6,
            "fleet.groups.night.cap: expected one of caps, got `cap`; did you",
        ),
    ],
)
def test_caps_of_fleet_and_groups_are_read_like_every_other_key(
    refusal: Refusal, section: str, line: int, expected: str
) -> None:
    (problem,) = refusal(f"environment: paper\naccounts:\n  - {{name: x, groups: [night]}}\n{section}")
    assert problem.startswith(f"{line}: {expected}")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("dead_man: dcp", "dead_man: expected off, or dcp with 3 to 300 seconds such as `dcp 30`, got `dcp`"),
        ("dead_man: dcp 2", "dead_man: expected off, or dcp with 3 to 300 seconds"),
        ("dead_man: 30", "dead_man: expected off, or dcp with 3 to 300 seconds"),
        ("caps: {max_drawdown: x0.2}", "caps.max_drawdown: expected USDT such as 500, a share of the peak such as 20%"),
        ("caps: {max_margin_ratio: 1}", "caps.max_margin_ratio: expected a number less than 1"),
    ],
)
def test_what_stops_an_account_is_refused_with_its_line(refusal: Refusal, keys: str, expected: str) -> None:
    (problem,) = refusal(f"environment: paper\naccounts:\n  - name: x\n    {keys}")
    assert problem.startswith(f"4: accounts[0].{expected}")

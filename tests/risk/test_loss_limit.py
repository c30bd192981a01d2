"""The session loss limit (docs/risk.md 6.4, docs/incidents-operations.md 5.2 no. 14)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.limits import Limit
from gridbot.risk.loss_limit import LossLimit

D = Decimal
ZERO = D(0)


def limit(amount: str | None, *, includes_unrealised: bool = False, begun_at: str = "0") -> LossLimit:
    made = LossLimit(None if amount is None else Limit.parse(amount), includes_unrealised=includes_unrealised)
    made.begin(D(begun_at))
    return made


@pytest.mark.parametrize(
    ("amount", "net", "wallet", "latches"),
    [
        ("50", "-50", "1000", False),  # exactly the limit is not above it
        ("50", "-50.01", "1000", True),
        ("50", "60", "1000", False),
        ("x0.25", "-200", "800", False),  # the wallet before the loss was 1000: 200 of 250
        ("x0.25", "-250", "750", False),
        ("x0.25", "-250.01", "750", True),
        ("x0.25", "100", "1000", False),
        (None, "-999", "1000", False),  # off
        ("50", "-60", "0", False),  # no wallet is known yet
        ("50", "-60", "-1", False),
    ],
)
def test_a_loss_above_the_limit_latches(amount: str | None, net: str, wallet: str, *, latches: bool) -> None:
    made = limit(amount)
    assert made.check(D(net), D(wallet), ZERO) is latches
    assert bool(made.latched) is latches


def test_the_loss_counts_from_the_last_time_the_latch_was_clear() -> None:
    made = limit("50", begun_at="-500")
    assert not made.check(D(-550), D(1000), ZERO)
    assert made.check(D(-551), D(1000), ZERO)
    assert not made.check(D(-600), D(1000), ZERO), "it latches once"
    assert made.latched.startswith("lost 51.00 USDT since the latch was clear, the session loss limit is 50.00;")
    made.clear(D(-600))
    assert not made.latched
    assert [made.check(D(net), D(1000), ZERO) for net in ("-650", "-651")] == [False, True]


@pytest.mark.parametrize(
    ("included", "unrealised", "latches"), [(True, "-31", True), (True, "-30", False), (False, "-999", False)]
)
def test_open_losses_count_where_that_is_wanted(unrealised: str, *, included: bool, latches: bool) -> None:
    made = limit("50", includes_unrealised=included)
    assert made.check(D(-20), D(1000), D(unrealised)) is latches


def test_baseline_and_latch_outlive_a_restart() -> None:
    made = limit("50", begun_at="-500")
    again = limit("50")
    again.restore(made.to_document())
    assert again.check(D(-551), D(1000), ZERO)
    latched = limit("50")
    latched.restore(again.to_document())
    assert latched.latched == again.latched
    assert not latched.check(D(-9999), D(1000), ZERO), "latched already"

"""What an execution cost, by coin. The figures are those of genuine captures (docs/bybit.md 9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from gridbot.bybit.parse_account import parse_execution
from gridbot.bybit.parse_costs import Costs, costs_of
from tests.bybit.support import execution_row
from tests.case_table import case_table

D = Decimal
GST = {"feeCoin": "USDT", "feeType": "GST", "subFeeType": "IND_GST", "feeRate": "0.0000675", "fee": "0.004613796"}
OWN = {"execFee": "0.0256322", "feeCurrency": "USDT"}


@pytest.mark.parametrize("extra", [[GST], orjson.dumps([GST]).decode()], ids=["stream", "rest"])
def test_a_tax_adds_to_the_fee_as_on_the_captured_fill(extra: object) -> None:
    """SOL, October 2025: the position's curRealisedPnl says -0.03024599; the tax is 18 % of the fee."""
    costs = costs_of({**OWN, "extraFees": extra})
    assert costs == Costs(D("0.030245996"), "USDT", D("0.004613796"))
    assert costs.taxes == D("0.0256322") * D("0.18")
    event = parse_execution(execution_row(**OWN, extraFees=extra))
    assert (event.fee, event.taxes, event.fee_currency, event.other_fees) == (*costs[0::2][:2], "USDT", ())


@case_table("currency", ["", "USDT", None])
@case_table("extra", ["", [], None, "[]"])
def test_without_a_coin_it_is_the_settle_coin(currency: object, extra: object) -> None:
    """Funding rows, and all rows before September 2025."""
    assert costs_of({"execFee": "-0.05", "feeCurrency": currency, "extraFees": extra}) == Costs(D("-0.05"), "USDT")


def test_a_fee_in_another_coin_is_no_usdt() -> None:
    costs = costs_of({"execFee": "0.5", "feeCurrency": "MNT", "extraFees": []})
    assert costs == Costs(D(0), "MNT", D(0), (("MNT", D("0.5")),))


def test_each_tax_counts_in_its_own_coin() -> None:
    extra = [GST, {"feeCoin": "MNT", "fee": "0.09"}, {"feeCoin": "", "fee": "0.01"}, {"feeCoin": "USDC", "fee": "0.2"}]
    costs = costs_of({"execFee": "0.5", "feeCurrency": "MNT", "extraFees": extra})
    assert costs == Costs(D("0.004613796"), "MNT", D("0.004613796"), (("MNT", D("0.60")), ("USDC", D("0.2"))))
    costs = costs_of({**OWN, "extraFees": extra})
    assert costs.fee == D("0.0256322") + D("0.004613796") + D("0.01")
    assert dict(costs.other) == {"MNT": D("0.09"), "USDC": D("0.2")}


@case_table("extra", ["{", "GST", [1, "x", {}, {"fee": "?"}], {"fee": "1"}, 7, True, '{"fee": "1"}'])
def test_what_cannot_be_read_of_it_loses_no_fill(extra: Any) -> None:
    assert costs_of({**OWN, "extraFees": extra}) == Costs(D("0.0256322"), "USDT")

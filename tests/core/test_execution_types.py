"""The vocabulary of executions: what each word does to a leg, and that none is unknown by accident."""

from __future__ import annotations

import pytest

from gridbot.core.execution_types import ExecType
from tests.case_table import case_table

DOCUMENTED = """
    Trade AdlTrade Funding BustTrade Delivery Settle BlockTrade MovePosition FutureSpread ForwardSplitSettle
    ReverseSplitSettle Dividend CorporateAction SessionSettlePnL
""".split()  # noqa: SIM905 - the sheet's list, word by word
TRADES = {"Trade", "BlockTrade", "FutureSpread"}
CLOSES = {"AdlTrade", "BustTrade", "Delivery"}
RIDDLES = {"MovePosition", "ForwardSplitSettle", "ReverseSplitSettle", "CorporateAction"}


@case_table("word", DOCUMENTED)
def test_each_documented_word_is_known_by_its_own_name(word: str) -> None:
    kind = ExecType(word)
    assert kind.value == word
    assert kind.moves_legs == (word in TRADES | CLOSES)
    assert kind.only_closes == (word in CLOSES)
    assert kind.is_understood == (word not in RIDDLES)


@case_table("word", ["", "Other", "New", "SpinOffSettle", "trade"])
def test_any_other_word_is_unknown_moves_nothing_and_is_not_understood(word: str) -> None:
    assert ExecType(word) is ExecType.UNKNOWN
    assert not ExecType(word).moves_legs
    assert not ExecType(word).is_understood


def test_what_is_no_text_is_no_type() -> None:
    with pytest.raises(ValueError, match="None is not a valid ExecType"):
        ExecType(None)  # type: ignore[arg-type]


def test_the_documented_words_are_all_there_are() -> None:
    assert {kind.value for kind in ExecType} == {*DOCUMENTED, "Unknown"}

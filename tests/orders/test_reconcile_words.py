"""The words of the reconciler are values: equal by content, and nothing changes one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, is_dataclass
from typing import get_args

import pytest

from gridbot.orders import reconcile_words as words
from gridbot.orders.reconcile_state import Part, Who
from tests.case_table import case_table


@case_table("word", [*get_args(words.Event), *get_args(words.Effect)])
def test_every_word_is_a_value(word: type) -> None:
    assert is_dataclass(word)
    assert word.__doc__
    assert word.__name__ in words.__all__


def test_a_word_cannot_be_changed() -> None:
    asked = words.AskListing(Who(Part.PASS))
    assert asked == words.AskListing(Who(Part.PASS))
    with pytest.raises(FrozenInstanceError):
        asked.who = Who(Part.LEGS)  # type: ignore[misc]

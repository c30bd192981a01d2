"""What the reconciler asks: every question is an effect, and says whose it is, so that an answer finds its part."""

from __future__ import annotations

from typing import get_args

from gridbot.orders import reconcile_questions as questions
from gridbot.orders.reconcile_words import Effect


def test_every_question_is_an_effect_and_says_whose_it_is() -> None:
    asked = get_args(questions.Question)
    assert {kind.__name__ for kind in asked} == set(questions.__all__) - {"Question"}
    assert set(asked) < set(get_args(Effect))
    assert all(next(iter(kind.__dataclass_fields__)) == "who" for kind in asked)

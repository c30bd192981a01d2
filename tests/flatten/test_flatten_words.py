"""What flattening was asked for, as a document and beside another wish; an error as a problem."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.flatten.flatten_words import (
    Others,
    Problem,
    Terms,
    Wanted,
    problem_of,
)
from tests.case_table import case_table
from tests.flatten.flatten_world import (
    A,
    B,
)

D = Decimal


def test_what_is_wanted_survives() -> None:
    wanted = Wanted({A: True, B: False}, Terms(band=D("0.01"), market_after_s=3.0, foreign=True, opens_only=True))
    again = Wanted.from_document(orjson.loads(orjson.dumps(wanted.to_document())))
    assert again == wanted
    both = Wanted({A: False, B: False}).beside(Wanted({B: True}, Terms(foreign=True)))
    assert (both.symbols, both.terms.foreign) == ({A: False, B: True}, True)
    assert Wanted({A: True}).beside(Wanted({A: False})).symbols == {A: True}
    opens = Wanted({A: False}, Terms(opens_only=True))
    for either in (opens.beside(Wanted({A: False})), Wanted({A: False}).beside(opens)):
        assert not either.terms.opens_only, "one of them wants all to go"
    assert opens.beside(opens).terms.opens_only
    older = {key: value for key, value in opens.to_document().items() if key not in ("opens_only", "others")}
    assert Wanted.from_document(older) == Wanted({A: False})
    whole = Wanted({A: True}, others=Others.CLOSED)
    assert Wanted.from_document(orjson.loads(orjson.dumps(whole.to_document()))) == whole
    for either in (whole.beside(Wanted({B: True})), Wanted({B: True}).beside(whole)):
        assert (either.others, either.terms.foreign) == (Others.CLOSED, True), "what the first wanted, it still wants"


@case_table("changed", [{"band": "2"}, {"band": "x"}, {"market_after_s": "1"}, {"symbols": [1]}, {"foreign": ...}])
def test_another_document_is_refused(changed: dict[str, Any]) -> None:
    document = {**Wanted({A: True}).to_document(), **changed}
    if ... in document.values():
        del document["foreign"]
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        Wanted.from_document(document)


def test_an_error_of_the_exchange_as_a_problem() -> None:
    ban = make_error("banned", ErrorKind.IP_BAN)
    assert problem_of(ban, 5.0).until_s == 605.0
    assert problem_of(make_error("no", ErrorKind.PARAM), 5.0) == Problem(ErrorKind.PARAM, "no (param)")

"""Code that has learnt is copied side by side, with what it has learnt: in real interpreters whose layout is known."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.children import hot_code
from tests.supervisor.children.known_interpreters import interpreters, told_by

PROGRAM = """
import gc, json, os, sys, traceback
from supervisor.children.hot_code import gather, learn
from supervisor.children.immortal import make_immortal

# Each tenth of what is imported is used; an instruction that meets two types goes on counting.
SOURCE = '''
def act(each):
    "a docstring"
    total = 0
    for other in (1, 2.5, "words"):
        total = other if total == 0 else total
        each + each
    return [total, (lambda: each)(), *(value for value in (each,))]
'''
modules = []
for number in range(4000):
    names = {}
    exec(compile(SOURCE, f"module {number}", "exec"), names)
    modules.append((names["act"], bytearray(600)))
used = [act for act, _ in modules[::10]]

class Kind:
    def __init__(self, value):
        self.value = value

    @property
    def twice(self):
        return self.value * 2

    def fails(self):
        return self.value / 0

    def counts(self):
        for each in range(3):
            yield each + self.value

def closing(value):
    def inside(other):
        return value + other
    return inside

inside = closing(5)
kinds = [Kind(1), Kind(2.5)]

def use():
    for turn in range(40):
        for act in used:
            act(turn if turn % 2 else float(turn))
        for kind in kinds:
            [kind.twice, *kind.counts(), inside(turn), closing(turn)(1)]

def private_kb():
    with open('/proc/self/smaps_rollup') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith('Private_Dirty'))

def forked():
    ours, theirs = os.pipe()
    if os.fork() == 0:
        gc.disable()
        use()
        before = private_kb()
        os.write(theirs, str(before).encode())
        os._exit(0)
    os.wait()
    return int(os.read(ours, 100))

def told():
    kind = Kind(7)
    try:
        kind.fails()
    except ZeroDivisionError as error:
        lines = traceback.extract_tb(error.__traceback__)
        where = [lines[-1].name, lines[-1].lineno == Kind.fails.__code__.co_firstlineno + 1]
    return [used[3](4), kind.twice, list(kind.counts()), closing(3)(4), inside(1), where, used[3].__doc__]

learn(use)
underway = kinds[0].counts()
first = next(underway)
make_immortal()
places = [id(each.__code__) for each in (used[3], modules[1][0], Kind.counts, Kind.twice.fget, inside, Kind.fails)]
nested = [id(each) for each in closing.__code__.co_consts if hasattr(each, "co_code")]
equal, said, copied = used[3].__code__, told(), forked()
moved = gather()
print(json.dumps({
    'moved': moved,
    'again': gather(),
    'elsewhere': [id(each.__code__) != place for each, place in zip(
        (used[3], modules[1][0], Kind.counts, Kind.twice.fget, inside, Kind.fails), places)],
    'nested': nested != [id(each) for each in closing.__code__.co_consts if hasattr(each, "co_code")],
    'equal': equal == used[3].__code__ and equal is not used[3].__code__,
    'side by side': max(id(each.__code__) for each in used) - min(id(each.__code__) for each in used),
    'learnt': used[3].__code__._co_code_adaptive == equal._co_code_adaptive != equal.co_code,
    'goes on': [first, *underway],
    'says the same': told() == said,
    'collected': gc.collect() >= 0,
    'copied': copied,
    'copied side by side': forked(),
}))
"""


@pytest.fixture(scope="module", params=interpreters() or [""])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    return told_by(request.param, PROGRAM)


def test_what_has_run_is_side_by_side_and_nothing_else_is_moved(told: dict[str, Any]) -> None:
    assert told["moved"] > 400
    assert told["again"] == 0
    assert told["elsewhere"] == [True, False, True, True, True, False]
    assert told["nested"]
    assert told["side by side"] < 1_000_000


def test_it_does_what_it_did_and_knows_what_it_knew(told: dict[str, Any]) -> None:
    assert told["equal"]
    assert told["learnt"]
    assert told["goes on"] == [1, 2, 3], "a generator that was under way"
    assert told["says the same"]
    assert told["collected"]


def test_a_fork_that_runs_it_copies_fewer_pages(told: dict[str, Any]) -> None:
    """Four hundred functions, each on a page or two of its own: what else a fork copies is the same."""
    assert told["copied"] - told["copied side by side"] > 800


def test_a_python_that_is_not_known_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(value: int) -> int:
        return value + 1

    monkeypatch.setattr(hot_code, "is_known", lambda: False)
    code = act.__code__
    hot_code.learn(lambda: [act(each) for each in range(100)])
    assert any(each is code for each in hot_code._learnt)
    assert hot_code.gather() == 0
    assert act.__code__ is code
    assert hot_code._learnt == []

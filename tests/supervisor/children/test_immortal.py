"""What is there before a fork is not counted any more: the walk in any Python, and real ones with immortal objects."""

from __future__ import annotations

import collections
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from supervisor.children import immortal
from tests.supervisor.children.known_interpreters import interpreters, told_by

# ------------------------------------------------------------------ the walk, in any Python


def walked(*found: object) -> tuple[list[object], list[object]]:
    return immortal._marked(found, collections.defaultdict(lambda: 1))


def test_an_object_is_marked_once() -> None:
    each, counts = object(), collections.defaultdict[int, int](lambda: 1)
    assert immortal._marked([each, each], counts) == ([each], [])
    assert counts[id(each) >> 2] == -1
    assert immortal._marked([each], counts) == ([], [])


def test_what_the_collector_does_not_see_comes_along() -> None:
    class Kind:
        def act(self) -> str:
            return "a constant of it"

    fresh, beside = walked(Kind, Kind.act, Kind.act.__code__)
    assert fresh == [Kind, Kind.act, Kind.act.__code__]
    code = Kind.act.__code__
    parts = (code.co_consts, code.co_names, code.co_name, code.co_qualname, code.co_filename, code.co_linetable)
    for part in (*parts, code.co_exceptiontable, Kind.__qualname__, Kind.act.__qualname__):
        assert any(each is part for each in beside)


def test_what_is_under_way_or_open_is_left_out(tmp_path: Path) -> None:
    generator = (each for each in ())
    frame = sys._getframe()
    with (tmp_path / "file").open("w") as file:
        assert walked(generator, frame, file, file.buffer) == ([], [])
    assert walked(threading.Lock)[0]


@pytest.mark.parametrize("known", [(), (sys.version_info[:2],)], ids=["of no known version", "that counts None"])
def test_a_python_that_is_not_known_is_left_alone(
    known: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(immortal, "KNOWN", known)
    monkeypatch.setattr(immortal, "_COUNT_OF_IMMORTALS", -1)
    each = object()
    before = sys.getrefcount(each)
    assert immortal.make_immortal() == 0
    assert sys.getrefcount(each) == before


# ------------------------------------------------------------------ real interpreters

PROGRAM = """
import gc, json, os, sys, weakref
from supervisor.children.immortal import make_immortal

class Kind:
    'a docstring'
    def act(self, factor=2.5):
        return [factor, 'a constant']

class Other:
    pass

def private_kb():
    with open('/proc/self/smaps_rollup') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith('Private_Dirty'))

def forked(use):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        before = private_kb()
        again = use()
        os.write(theirs, str(private_kb() - before).encode())
        os._exit(0)
    os.wait()
    return int(os.read(ours, 100))

def use_things():
    return [each for each in things]

def use_kinds():
    return [each.__init__ is None for each in kinds]

kinds = [type(f'Kind{number}', (), {}) for number in range(2000)]
things = [(str(number), float(number)) for number in range(100_000)]
table = {'kept': Other(), 'list': []}
generator = (each for each in ())
file = open(os.devnull)
copied = forked(use_things)
made = make_immortal()
again = make_immortal()
code = Kind.act.__code__
parts = [code, code.co_consts, Kind.__doc__, Kind.act.__defaults__[0]]
like_none = [Kind, Kind.act, *parts, table, table['kept'], things[7], *things[7]]
gone = weakref.ref(Other())
there = table['new'] = Other()
inside = weakref.ref(there)
counted = sys.getrefcount(there)
table['list'].append(there)
more = sys.getrefcount(there)
table['list'].clear()
del table['new'], there
print(json.dumps({
    'made': made,
    'again': again,
    'immortal': all(sys.getrefcount(each) == sys.getrefcount(None) for each in like_none),
    'under way': [sys.getrefcount(each) < 100 for each in (generator, file)],
    'counts go on': [counted, more],
    'freed': [gone() is None, inside() is None],
    'collected': gc.collect() >= 0,
    'copied': copied,
    'copied when immortal': forked(use_things),
    'kinds copied when immortal': forked(use_kinds),
}))
"""


@pytest.fixture(scope="module", params=interpreters() or [""])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    return told_by(request.param, PROGRAM)


def test_all_that_is_there_is_immortal_and_what_is_under_way_is_not(told: dict[str, Any]) -> None:
    assert told["made"] > 100_000
    assert told["again"] < 1000, "only what was made since"
    assert told["immortal"]
    assert told["under way"] == [True, True]


def test_what_is_made_later_is_counted_and_freed(told: dict[str, Any]) -> None:
    counted, more = told["counts go on"]
    assert more == counted + 1
    assert told["freed"] == [True, True]
    assert told["collected"]


def test_a_fork_that_uses_it_copies_no_page(told: dict[str, Any]) -> None:
    """A hundred thousand pairs in a new list, which has 800 kB itself."""
    assert told["copied"] > 5000, "else this test shows nothing"
    assert told["copied when immortal"] < 2500


def test_nor_does_one_that_looks_into_types(told: dict[str, Any]) -> None:
    """Two thousand of more than a kilobyte: the first look into each gives it a version, which it keeps."""
    assert told["kinds copied when immortal"] < 1000

"""What all tests share: places of the repository, and an environment without the developer's own settings."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import warm_python
from tests.compile_once import compile_all, is_new
from tests.examples import examples
from tests.few_reports import FewReports

if TYPE_CHECKING:
    from supervisor.fleet.embedded_server import EmbeddedServer
    from tests.real_browser import Browser, Chromium

ROOT = Path(__file__).resolve().parent.parent
# Whatever the environment says, here and in what the tests start, compiled files are kept: otherwise hundreds of
# processes compile the program again, each of them, and each worker of xdist all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A busy machine makes any example late. Tests that say no number draw this one, many times as many by --long.
settings.register_profile(
    "suite", deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # `bin/test &` in a script: the shell has us ignore Ctrl-C, and all that we start would ignore the one of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _name in ("GRIDBOT_CONFIG_PATH", "GRIDBOT_DATA_DIR", "GRIDBOT_VENV", "GRIDBOT_PYTHON"):
    os.environ.pop(_name, None)  # settings of the developer, which no test is meant to see
_shared = contextlib.ExitStack()
"""What all workers of xdist use, in the process that starts them."""
gc.disable()  # until all tests are collected: nothing of them is garbage, and looking is a sixth of the time


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def _state_home_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Workers lock their API keys there; also those that fixtures of a module start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "XDG_STATE_HOME", str(tmp_path_factory.mktemp("state-home")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _new_databases_are_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """By all processes of a run: here, of a warm Python, and of the store's fork server. Another schema, as some tests
    have, makes another one.
    """
    from gridbot.store import fleet_reading
    from gridbot.store.database import Database
    from tests.new_databases import PLACE, copied_for_a_fleet, made_once

    made = _of_the_run(tmp_path_factory) / "new-databases"
    made.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_make", made_once(made))
        patch.setattr(fleet_reading, "lay_tables", copied_for_a_fleet(made))
        patch.setitem(os.environ, PLACE, str(made))
        yield


def _of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that all workers of xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The PostgreSQL of this test run (`tests/fleet_database.py`)."""
    from tests.fleet_database import shared_server

    with shared_server(_of_the_run(tmp_path_factory) / "postgres") as server:
        yield server


@pytest.fixture
def fleet_dsn(postgres: EmbeddedServer) -> str:
    """A database of this test's own, with the fleet's tables in it."""
    from tests.fleet_database import new_database

    return new_database(postgres)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Entries of processes ignore Ctrl-C or handle SIGTERM; called by a test they would do so for all that follow.

    A hook, as a fixture that each of ten thousand tests sets up is itself longer than most of them.
    """
    before = [signal.getsignal(each) for each in SIGNALS]
    try:
        return (yield)
    finally:
        for each, handler in zip(SIGNALS, before, strict=True):
            if handler is not None and signal.getsignal(each) is not handler:
                signal.signal(each, handler)
        if nextitem is None or nextitem.path != item.path:
            _keep_what_is_left()


def _keep_what_is_left() -> None:
    """What a file of tests leaves, such as caches, is no garbage: the collections of later files need not walk through
    it. There are hundreds that a test or a simulated run asks for, a tenth of a second each at the end of the tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One browser for all tests of this process; begun by the first that wants it."""
    from tests.real_browser import Chromium, missing

    if reason := missing():
        pytest.skip(reason)
    process = Chromium()
    yield process
    process.close()


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Browser]:
    """A page of its own, of a browser that knows nothing of other tests."""
    page = chromium.browser()
    yield page
    page.close()


CORES = len(os.sched_getaffinity(0))
MORE = 3
"""So many workers more than cores: each more collects all tests, 5 s of a core."""
WAITERS = 3
"""So many workers begin with tests that wait: together they need a core, the others keep the rest busy meanwhile."""
WAITING = ("tests/system/", "tests/supervisor/process/", "tests/integration/", "tests/test_benchmarks.py")
"""Where tests take long because they wait for processes of their own, the longest first."""
COMPUTING = ("tests/simulation/", "tests/store/test_grid_keeping.py")
"""Where they take long because they need the processor."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones come first, so that no worker of xdist is left with one when the others have nothing to do.

    With `--dist worksteal` each worker begins with an equal part of the list: what waits is dealt to the first parts,
    what computes for long begins the next. What needs the browser begins the last part: each process of tests that has
    one starts its own.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers < 2:
        return
    waiting = [item for place in WAITING for item in items if item.nodeid.startswith(place)]
    computing = [item for item in items if item.nodeid.startswith(COMPUTING)]
    others = [item for item in items if not item.nodeid.startswith((*WAITING, *COMPUTING))]
    waiters = min(WAITERS, max(1, workers - CORES + 1))
    heads = [waiting[first::waiters] for first in range(waiters)] + [[] for _ in range(workers - waiters)]
    heads[min(waiters, workers - 1)] += computing
    heads[-1] += [item for item in others if _is_shown(item)]
    others = [item for item in others if not _is_shown(item)]
    dealt, taken = [], 0
    for number, head in enumerate(heads):
        size = (len(items) - len(dealt)) // (workers - number)  # as xdist cuts the list
        rest = max(0, size - len(head))
        dealt += head + others[taken : taken + rest]
        taken += rest
    items[:] = dealt + others[taken:]


def _is_shown(item: pytest.Item) -> bool:
    """Whether it opens a page in the browser."""
    return "chromium" in getattr(item, "fixturenames", ())


def pytest_collection_finish() -> None:
    """What was collected is never garbage: thousands of tests, which each full collection would walk through (a
    simulated run ends with one). The little that is, 15 MB, is cheaper to keep than to find."""
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(FewReports())


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before xdist starts its workers, which begin with collecting."""
    if getattr(session.config.option, "dist", "no") == "no" or hasattr(session.config, "workerinput"):
        return
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    if is_new(tests):
        compile_all(ROOT, tests, CORES)
    _shared.enter_context(warm_python.shared())


def pytest_unconfigure() -> None:
    """After the workers of xdist have ended."""
    _shared.close()


@pytest.hookimpl(optionalhook=True)  # `compile_once` collects without xdist
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto` takes more workers than cores: most of a system test is waiting for other processes."""
    return CORES + MORE

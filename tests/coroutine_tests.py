"""Runs tests that are coroutines, each on a loop of its own: a `conftest` imports the hook."""

from __future__ import annotations

import asyncio
import inspect

import pytest

__all__ = ["pytest_pyfunc_call"]

TIMEOUT_S = 180
"""Against a test that hangs, on a machine with ten times too much to do."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def run() -> None:
        await asyncio.wait_for(test(**wanted), TIMEOUT_S)

    asyncio.run(run())
    return True

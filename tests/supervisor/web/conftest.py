"""Coroutine tests on loops of their own."""

from __future__ import annotations

from tests.coroutine_tests import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]

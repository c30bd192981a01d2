"""Coroutines are tests here."""

from __future__ import annotations

from tests.coroutine_tests import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]

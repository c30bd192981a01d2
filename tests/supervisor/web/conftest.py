"""Coroutine tests on loops of their own, and a browser for the page."""

from __future__ import annotations

from tests.coroutine_tests import pytest_pyfunc_call
from tests.report.conftest import browser

__all__ = ["browser", "pytest_pyfunc_call"]

"""Tests that are coroutines."""

from tests.coroutine_tests import pytest_pyfunc_call as pytest_pyfunc_call

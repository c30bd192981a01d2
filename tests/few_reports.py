"""Workers of xdist tell of a test's setup and teardown only when something is wrong there: three reports of each test
are written, sent and read, and two of them say that nothing was. It is a third of a millisecond for each of thousands.

    worker: setup ✓, call, teardown ✓  ──► call ──► the process that shows the results
"""

from __future__ import annotations

import pytest
from _pytest.runner import runtestprotocol

__all__ = ["FewReports"]


class FewReports:
    """A plugin of workers. `--durations` of a run with xdist are those of the calls alone."""

    @pytest.hookimpl
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """As pytest's own."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

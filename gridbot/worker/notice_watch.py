"""Reads what the exchange announces, and carries out what follows (`risk/notice_board.py` decides).

Maintenance is an incident from a day before its begin, and a reason against health while it is under way; what does not
get through then has it as a hint. Announcements of delistings and of changes of a contract are incidents of their
symbol, whose terms are read again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.notices import Maintenance, concerns
from gridbot.incidents import Name, Standing
from gridbot.ports import ExchangeQueries
from gridbot.risk.notice_board import Announced, Board, Event, Over, Passed, ReadTerms, step, words_of
from gridbot.worker.context import WorkerContext

__all__ = ["NoticeWatch"]

SOON_MS = 10 * 60 * 1000
SHARED_S = 45.0
"""How old they may be that another account has read: less than the time between two readings."""
log = logging.getLogger(__name__)


class NoticeWatch:
    """One per account; the owner of its `Board`. `strategies` are those that trade or wait, by symbol."""

    def __init__(
        self,
        queries: ExchangeQueries,
        context: WorkerContext,
        strategies: Mapping[str, str],
        *,
        environment: Environment,
        user_id: str,
    ) -> None:
        self._queries = queries
        self._context = context
        self._strategies = dict(strategies)
        self._environment = environment
        self._user_id = user_id
        self._board = Board()
        self._is_told = False
        self._unreadable = ""

    def follow(self, symbol: str, strategy: str) -> None:
        """A strategy has come."""
        self._strategies[symbol] = strategy

    def forget(self, symbol: str) -> None:
        """A strategy is gone: what was announced of its symbol concerns nobody."""
        self._strategies.pop(symbol, None)
        sights = tuple(each for each in self._board.sights if each.symbol != symbol)
        self._board = replace(self._board, sights=sights)

    async def read(self) -> None:
        """Read all that is announced. Raises ExchangeError; an exchange that has no announcements is none."""
        try:
            found = await self._queries.notices(max_age_s=SHARED_S)
        except ExchangeError as error:
            if error.kind is not ErrorKind.PARAM:
                raise
            if not self._is_told:
                log.info("the exchange has no announcements to read here: %s", error)
            self._is_told = True
            return
        ours = [each for each in found.maintenance if concerns(each, self._environment, self._user_id)]
        self._unreadable = found.unreadable
        symbols = self._strategies.keys()
        self._take(Announced(tuple(ours), found.announcements, symbols, is_whole=not found.unreadable))

    def look(self) -> None:
        """A second has passed."""
        if self._board != Board():
            self._take(Passed())

    @property
    def is_maintained(self) -> bool:
        """Whether a maintenance is under way or begins in a few minutes."""
        soon_ms = self._context.clock.wall_ms() + SOON_MS
        return any(each.begin_ms <= soon_ms for each in self._board.maintenance)

    @property
    def reasons(self) -> list[str]:
        """What is under way, in sentences; reasons against health."""
        now_ms = self._context.clock.wall_ms()
        return [words_of(each, now_ms, is_under_way=True) for each in self._board.running]

    def standing(self) -> dict[Name, Standing]:
        """The incidents that stand."""
        board, now_ms = self._board, self._context.clock.wall_ms()
        found = {}
        if self._unreadable:
            text = f"a maintenance that the exchange announces cannot be read, those known stay: {self._unreadable}"
            found[Name("notices")] = Standing("warning", text)
        for each in board.ahead(now_ms):
            found[_name(each)] = Standing("warning", words_of(each, now_ms, is_under_way=False))
        for each in board.running:
            found[_name(each)] = Standing("error", words_of(each, now_ms, is_under_way=True))
        for sight in board.sights:
            name = Name(f"announced.{sight.symbol}", self._strategies[sight.symbol], sight.announcement.name)
            found[name] = Standing("warning", str(sight))
        return found

    def _take(self, event: Event) -> None:
        context = self._context
        self._board, effects = step(self._board, event, context.clock.wall_ms())
        context.passage.announced("; ".join(self.reasons))
        for effect in effects:
            match effect:
                case ReadTerms(symbol):
                    context.requests.read_terms(symbol)
                case Over(maintenance):
                    what = f"the exchange's maintenance is over: {maintenance.title}"
                    context.alert.over(_name(maintenance).key, f"{what}; everything is read again")
                    context.requests.reconcile(what)
                    for symbol in self._strategies:
                        context.requests.read_terms(symbol)


def _name(maintenance: Maintenance) -> Name:
    return Name(f"maintenance.{maintenance.notice_id}")

"""One REST request, and all the pages of a listing.

A listing has all its pages, and names the rows that cannot be read, or it raises `TruncatedListing`: a comparison with
the order book must never take "cut off" for "gone" (incidents L49, L50).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from gridbot.budget.address_budget import AddressBudget, Done
from gridbot.budget.fact_share import FactShare
from gridbot.budget.request_permits import Purpose
from gridbot.bybit.clocks import monotonic_s
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.pace import Pace
from gridbot.bybit.raw_fields import parse_rows, time_or_zero
from gridbot.bybit.session import TIME_EXPIRED, Reply, RestTransport
from gridbot.exchange.answer_counts import AnswerCounts
from gridbot.exchange.bans import BANNED, Ban
from gridbot.exchange.failures import ErrorKind, ExchangeError, TruncatedListing, make_error
from gridbot.exchange.listing import Listing, Unreadable, UnreadableRows
from gridbot.exchange.requests import RateLimit
from gridbot.lease import lease_watch
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.rolling_limit import RollingLimit

__all__ = ["LINEAR", "MAX_PAGES", "Calls", "listed", "result_of", "row_of", "rows_of", "texts", "whole"]

T = TypeVar("T")

MAX_PAGES = 100
RECV_WINDOW_MS = 5_000
LINEAR = "linear"
FEW_PER_S: Final[Mapping[str, int]] = {
    "position/switch-mode": 8,
    "position/set-leverage": 8,
    "account/fee-rate": 4,
    "position/list": 40,
}
"""What is asked for each symbol, and how often in a second; Bybit allows an account 10, 10, 5 and 50.

Each may be asked twice without harm.
"""
TRIES_OF_FEW: Final = 4
"""Of one of those that is refused for its limit: some come late and together, and other programs ask, too."""


class Calls:
    """Call from one asyncio loop. At most `pool_size` queries are under way; `timeout` in s, `recv_window` in ms.

    After an IP_BAN nothing is sent for `ban_silence_s` seconds, as Bybit demands: every call fails at once, with the
    same kind. A single request in that time would restart the ten minutes for every account on this address.
    `on_ban` is told of a ban, with its end; `banned_for_s` are left of one that an earlier process was told of.
    `budget` is what all accounts of this address share: queries wait there for their turn, and every request counts.
    `facts` are those of the market that other accounts may have read.
    With a `lease` of a fleet, what changes something leaves only while it holds, and `recv_window` is the fleet's.
    `transport` makes what carries the requests. What the exchange takes few of in a second (`few_per_s`, by endpoint)
    waits for its turn: a start asks it for all symbols at once.
    """

    by_http: Final = True
    """Every request is one, of which the address may send so many."""

    def __init__(
        self,
        endpoints: Endpoints,
        credentials: Credentials,
        *,
        pool_size: int = 4,
        timeout: float = 10.0,
        recv_window: int | None = None,
        ban_silence_s: float = 600.0,
        banned_for_s: float = 0.0,
        on_ban: Callable[[Ban], None] = lambda ban: None,
        budget: AddressBudget | None = None,
        facts: FactShare | None = None,
        lease: LeaseWatch | None = None,
        transport: Callable[..., RestTransport] = RestTransport,
        few_per_s: Mapping[str, int] = FEW_PER_S,
    ) -> None:
        self._lease = lease
        usual_ms = RECV_WINDOW_MS if lease is None else lease_watch.RECV_WINDOW_MS
        window_ms = recv_window or usual_ms
        leased = {} if lease is None else {"lease": lease}
        self._transport = transport(
            endpoints, credentials, pool_size=pool_size, timeout=timeout, recv_window=window_ms, **leased
        )
        self._transport.silence = self.silence
        self.horizon = Horizon(self._transport.clock.now_ms)
        self._secrets = (credentials.api_secret, credentials.api_key)
        self._ban_silence_s = ban_silence_s
        self._banned_until_s = monotonic_s() + banned_for_s
        self._banned_with: tuple[int | None, int | None] = (None, None)
        """Code and HTTP status of the newest ban."""
        self._on_ban = on_ban
        self._budget = budget
        self._facts = facts
        self._paces = {endpoint: Pace(RollingLimit(few, 1.0)) for endpoint, few in few_per_s.items()}
        self.answers = AnswerCounts()
        """Of queries; orders are counted by who sends them."""

    @property
    def limits(self) -> dict[str, RateLimit]:
        """Newest rate-limit headers by endpoint, such as `order/create`."""
        return self._transport.limits

    def exchange_ms(self) -> int:
        """The exchange's time, UTC ms, as requests are stamped with it."""
        return self._transport.clock.now_ms()

    @property
    def clock_offset_ms(self) -> int:
        """Added to our clock in every signed request; measured with `server_time_ms` and after each 10002."""
        return self._transport.clock.offset_ms

    def close(self) -> None:
        """Take no more calls. Requests under way end within two seconds; `close` does not wait for them."""
        self._transport.close()

    def banned(self, ban: Ban) -> None:
        """Another account of this address was told of a ban: send nothing before its end."""
        self._banned_until_s = max(self._banned_until_s, ban.until_s)
        self._banned_with = (ban.error.ret_code, ban.error.http_status)

    def begin(self, endpoint: str, params: dict[str, Any]) -> Reply | ExchangeError:
        """Start a request now and give its pending answer; the error instead while the address is banned.

        It waits for nobody: whoever sends orders has asked `AddressBudget.may_leave`.
        """
        if self._banned_until_s > monotonic_s() and (banned := self.silence()) is not None:
            return banned
        return self._start(endpoint, params)

    def silence(self) -> ExchangeError | None:
        """Why nothing may be sent now; None when anything may."""
        left_s = self._banned_until_s - monotonic_s()
        if left_s <= 0:
            return None
        error = make_error(
            f"not sent: {BANNED} for {left_s:.0f} s more",
            ErrorKind.IP_BAN,
            ret_code=self._banned_with[0],
            http_status=self._banned_with[1],
        )
        error.silence_s, error.is_told = left_s, False
        return error

    def _start(self, endpoint: str, params: dict[str, Any], over: Done | None = None) -> Reply:
        """`over` is what its turn gave to a query."""
        budget = self._budget
        reply = self._transport.call(endpoint, params)
        if budget is not None:
            over = over or budget.sent(_purpose(endpoint, params))
            reply.when_over(over, partial(budget.unsent, over))
        return reply

    def refusal(self, ret_code: int, text: str) -> ExchangeError:
        """The error for a code inside an answer, such as that of one order of a batch."""
        return from_ret_code(ret_code, text, secrets=self._secrets)

    async def _call(self, endpoint: str, **params: Any) -> dict[str, Any]:
        """A query: waits for its turn, and is counted. Raises ExchangeError."""
        try:
            pace = self._paces.get(endpoint)
            asked = self._in_turn(endpoint, params) if pace is None else self._of_few(pace, endpoint, params)
            envelope = await asked
        except ExchangeError as error:
            self.answers.came(error)
            raise
        self.answers.came(None)
        return envelope

    async def _of_few(self, pace: Pace, endpoint: str, params: dict[str, Any]) -> dict[str, Any]:
        for _ in range(TRIES_OF_FEW - 1):
            await pace.turn()
            try:
                return await self._in_turn(endpoint, params)
            except ExchangeError as error:
                if error.kind is not ErrorKind.RATE_LIMIT:
                    raise
                pace.rest(1.0)
        await pace.turn()
        return await self._in_turn(endpoint, params)

    async def _in_turn(self, endpoint: str, params: dict[str, Any]) -> dict[str, Any]:
        budget = self._budget
        if budget is None or self.silence() is not None:
            return await self.answer(self.begin(endpoint, params))
        over = await budget.turn()
        banned = self.silence()
        if banned is not None:
            budget.unsent(over)
            raise banned
        return await self.answer(self._start(endpoint, params, over))

    async def answer(self, begun: Awaitable[dict[str, Any]] | ExchangeError) -> dict[str, Any]:
        """The envelope of the answer to a request that was begun. Raises ExchangeError."""
        if isinstance(begun, ExchangeError):
            raise begun
        try:
            return await begun
        except ExchangeError as error:
            if error.kind is ErrorKind.IP_BAN and error.is_told:
                error.silence_s = self._ban_silence_s
                self._banned_until_s = monotonic_s() + self._ban_silence_s
                self._banned_with = (error.ret_code, error.http_status)
                self._on_ban(Ban(self._banned_until_s, error))
            if error.ret_code == TIME_EXPIRED and self._budget is not None:
                self._budget.extra()  # the transport has asked for the exchange's time
            raise

    async def _listing(
        self, endpoint: str, *, pace: Pace | None = None, most: int | None = None, **params: Any
    ) -> list[Any]:
        """Rows of all `pages`."""
        return [row async for page in self.pages(endpoint, pace=pace, most=most, **params) for row in page]

    async def pages(
        self, endpoint: str, *, pace: Pace | None = None, most: int | None = None, **params: Any
    ) -> AsyncGenerator[list[Any], None]:
        """Rows page by page, up to an empty cursor or an empty page. TruncatedListing after `most` (`MAX_PAGES`).

        `pace` says when each page may be asked for.
        """
        count = 0
        seen: set[str] = set()
        cursor: dict[str, str] = {}
        most = most or MAX_PAGES
        for _ in range(most):
            if pace is not None:
                await pace.turn()
            envelope = await self._call(endpoint, **params, **cursor)
            page = rows_of(envelope, endpoint)
            following = result_of(envelope, endpoint).get("nextPageCursor")
            count += len(page)
            yield page
            if not page or not following:
                return
            if not isinstance(following, str) or following in seen:
                raise TruncatedListing(f"{endpoint}: the cursor of page {len(seen) + 1} leads back; nothing was used")
            seen.add(following)
            cursor = {"cursor": following}
        raise TruncatedListing(
            f"{endpoint}: expected an end within {most} pages, got more ({count} rows); nothing was used"
        )

    async def _unless_noop(self, endpoint: str, **params: Any) -> bool:
        """False when it was so already."""
        try:
            await self._call(endpoint, **params)
        except ExchangeError as error:
            if error.kind is not ErrorKind.NOOP:
                raise
            return False
        return True


def _purpose(endpoint: str, params: Mapping[str, Any]) -> Purpose:
    """What a request about orders is for; of several the first is the most urgent one."""
    if endpoint in ("order/cancel", "order/cancel-batch"):
        return Purpose.CANCEL
    first = params["request"][0] if "request" in params else params
    return Purpose.CLOSE if first.get("reduceOnly") else Purpose.OPEN


def result_of(envelope: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """`result` of an answer. AMBIGUOUS without one."""
    result = envelope.get("result")
    if not isinstance(result, dict):
        raise make_error(f"{endpoint}: expected a result, got none", ErrorKind.AMBIGUOUS)
    return result


def rows_of(envelope: Mapping[str, Any], endpoint: str) -> list[Any]:
    """The list in an answer. TruncatedListing without one."""
    rows = result_of(envelope, endpoint).get("list")
    if not isinstance(rows, list):
        raise TruncatedListing(f"{endpoint}: expected a list, got none; nothing was used")
    return rows


def row_of(rows: list[Any], symbol: str) -> dict[str, Any] | None:
    """The row of a symbol."""
    return next((row for row in rows if isinstance(row, dict) and row.get("symbol") == symbol), None)


def listed(
    parser: Callable[[Mapping[str, Any]], T | None], rows: list[Any], endpoint: str, horizon: Horizon
) -> Listing[T]:
    """All rows as events, beside those that cannot be read. TruncatedListing when one does not tell its symbol.

    No event is later than `horizon` allows.
    """
    good, problems = parse_rows(parser, rows)
    unreadable = []
    for problem in problems:
        if not problem.symbol:
            raise TruncatedListing(f"{endpoint}: {len(problems)} unreadable: {problem}; nothing was used")
        at_ms = time_or_zero(rows[problem.index], "execTime", "updatedTime", "createdTime")
        unreadable.append(Unreadable(problem.symbol, f"{endpoint}: {problem}", at_ms))
    return Listing(horizon.bounded(good), unreadable)


def whole(parser: Callable[[Mapping[str, Any]], T | None], rows: list[Any], endpoint: str, horizon: Horizon) -> list[T]:
    """All rows as events, where each is needed. UnreadableRows or TruncatedListing otherwise."""
    found = listed(parser, rows, endpoint, horizon)
    if found.unreadable:
        raise UnreadableRows(f"{found.unreadable[0].reason}; nothing was used", found.unreadable[0])
    return found


def texts(value: object) -> tuple[str, ...]:
    """The texts in a list; empty for anything else."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

"""What the workers share, for their messages: requests, a ban of the address, facts of the market.

One `Leases` for Bybit, whose limit counts all its hosts together, and one for the paper exchange, which has its own.

    message of a worker    what it leads to
    requests               `Leases`: who is lent how much             lease
    banned                 every worker is silent until its end       lease, and an incident for all of them
    fact_wanted, fact_read `FactBoard`: who reads it, who is told     fact, read_fact, fact_coming
    line_start             `LineGrants`: a start beyond its part      line_start

A command that asks an exchange beside the workers is a guest of its `Leases` (`ask`): over the control socket, so it is
told what it may in the answers. A guest is gone when its connection is, or when it has said nothing for `SILENT_S`.

How many permits are lent, and a ban, are kept in `address.json`: who comes after us must not lend them again too soon.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gridbot.budget.request_permits import REST_S
from gridbot.exchange.bans import Ban, ban_of
from gridbot.incidents import Name, Standing
from gridbot.state.documents import StateFile
from supervisor.leases import fact_board
from supervisor.leases.fact_board import Asked, Coming, FactBoard, Left, Read, ReadIt, Tell
from supervisor.leases.line_grants import LineGrants
from supervisor.leases.request_leases import DEAD_REST_S, Banned, Came, Gone, Lease, Leases, Said, Tick, step

__all__ = ["BYBIT", "PAPER", "Sharing"]

Message = dict[str, Any]

BYBIT: Final = "Bybit"
PAPER: Final = "the paper exchange"
FILE_S: Final = 2.0
"""Between two writings of `address.json` while permits are lent."""
ORPHANS_S: Final = 3.0
"""How long a worker may go on, and its last request may be on the way, when we are gone."""
BAN_MOST_S: Final = 600.0
SILENT_S: Final = 5.0
"""A guest that has said nothing for so long is gone; ours say something each second."""
GUESTS_MOST: Final = 32
FACT_WORDS: Final = {ReadIt: "read_fact", Tell: "fact", Coming: "fact_coming"}
VERSION: Final = 1


class Sharing:
    """One per supervisor. `members` are the accounts and the exchange of each; `limits` the permits of each exchange,
    `spare` how many more there are for guests.

    An exchange with the limit 0 counts nothing. `send` passes a message to the worker of an account.
    """

    def __init__(
        self,
        members: Mapping[str, str],
        limits: Mapping[str, int],
        send: Callable[[str, Message], object],
        *,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        spare: Mapping[str, int] | None = None,
    ) -> None:
        self._exchange_of = dict(members)
        self._guests: dict[str, float] = {}
        """When each was heard last."""
        self._numbers = itertools.count(1)
        self._grants = {exchange: LineGrants() for exchange in limits}
        self._send = send
        self._clock = clock
        self._wall_ms = wall_ms
        self._board = FactBoard()
        self._bans: dict[str, Ban] = {}
        self._file: StateFile | None = None
        self._kept_s = float("-inf")
        now_s = clock()
        self._leases = {
            exchange: Leases(
                limits[exchange],
                [one for one, its in members.items() if its == exchange],
                now_s,
                (spare or {}).get(exchange, 0),
            )
            for exchange in limits
            if limits[exchange]
        }

    def join(self, account: str, exchange: str) -> None:
        """An account has come, or trades on another exchange with its next process."""
        self._exchange_of[account] = exchange

    def open(self, file: StateFile) -> None:
        """Take in what an earlier supervisor has left in `file`, and keep there what a later one has to know."""
        self._file = file
        try:
            found = file.load() or {}
        except OSError:
            found = {}
        if found.get("version") != VERSION:
            return
        for exchange, grants in self._grants.items():
            given_ms = (found.get("line_starts") or {}).get(exchange)
            grants.inherit([self._at_s(each, 0.0) for each in given_ms or ()])
        for exchange, leases in self._leases.items():
            left = found.get(exchange)
            if isinstance(left, dict):
                until_s = self._at_s(left.get("until_ms"), ORPHANS_S + FILE_S + REST_S)
                leases.inherit(_whole(left.get("used")), _whole(left.get("of_spare")), until_s)
                self._inherit_ban(exchange, leases, left)

    def close(self) -> None:
        """All workers have ended. Raises OSError when the disk does not take it: the next one lends too soon then."""
        if self._file is not None:
            self._file.save_now(self._document(self._clock(), REST_S))

    # ------------------------------------------------------------------ what happens

    def take(self, account: str, message: Message) -> None:
        """A worker's message; raises KeyError, TypeError or ValueError for one that none of ours sends."""
        now_s, kind = self._clock(), message["type"]
        leases = self._leases.get(self._exchange_of[account])
        if kind == "requests" and leases is None:
            self._send(account, {"type": "lease", "lent": None})
        elif kind == "requests" and leases is not None:
            wants = tuple(map(int, message["wants"]))
            said = Said(account, int(message["seen"]), int(message["back"]), wants)
            self._tell(leases, step(leases, said, now_s))
        elif kind == "banned":
            self._banned(account, message, now_s)
        elif kind == "line_start":
            wait_s = self._grants[self._exchange_of[account]].ask(now_s)
            self._send(account, {"type": "line_start", "wait_s": wait_s})
            self._keep(now_s, FILE_S + ORPHANS_S + REST_S)
        elif kind == "fact_wanted":
            self._post(fact_board.step(self._board, Asked(account, message["key"], message["since_s"]), now_s))
        elif kind == "fact_read":
            self._post(fact_board.step(self._board, Read(account, message["key"], message["value"]), now_s))

    def ask(self, exchange: str, message: Message) -> Message:
        """A guest says what it wants, and who it is (`guest`) once it was told; the answer is what it has been lent.

        Raises ValueError for what no guest of ours says, or when there are too many.
        """
        now_s, name = self._clock(), message.get("guest") or ""
        if name and (name not in self._guests or self._exchange_of[name] != exchange):
            raise ValueError("this guest is not known here any more; begin anew")
        leases = self._leases.get(exchange)
        if not name:
            if len(self._guests) >= GUESTS_MOST:
                raise ValueError(f"{GUESTS_MOST} commands ask the exchange now; wait for the end of one")
            name = f"guest {next(self._numbers)}"
            self._exchange_of[name] = exchange
            self._guests[name] = now_s
            if leases is not None:
                step(leases, Came(name), now_s)
        self._guests[name] = now_s
        if message.get("banned"):
            self._banned(name, message["banned"], now_s)
        if message.get("over"):
            self._leave(name, REST_S)
            return {"guest": name}
        answer: Message = {"guest": name, "lent": None, "keep": None, "floor": 0, "ahead": 0}
        if leases is not None:
            wants = tuple(map(int, message["wants"]))
            self._tell(leases, step(leases, Said(name, int(message["seen"]), int(message["back"]), wants), now_s))
            member = leases.members[name]
            answer |= {"lent": member.lent, "keep": member.keep}
        return answer | {"ban": self._ban_message(exchange, now_s)}

    def left(self, guest: str) -> None:
        """A guest's connection has ended."""
        self._leave(guest, DEAD_REST_S)

    def _leave(self, guest: str, rest_s: float) -> None:
        """Its permits are good again after `rest_s`."""
        if self._guests.pop(guest, None) is None:
            return
        leases, now_s = self._leases.get(self._exchange_of.pop(guest)), self._clock()
        if leases is not None:
            self._tell(leases, step(leases, Gone(guest, rest_s), now_s))

    def gone(self, account: str) -> None:
        """The process of an account has ended."""
        leases = self._leases.get(self._exchange_of.get(account, ""))
        now_s = self._clock()
        if leases is not None:
            self._tell(leases, step(leases, Gone(account), now_s))
        self._post(fact_board.step(self._board, Left(account), now_s))

    def look(self) -> None:
        """Time has passed; a few times a second."""
        now_s = self._clock()
        for guest in [name for name, heard_s in self._guests.items() if now_s - heard_s > SILENT_S]:
            self.left(guest)
        for leases in self._leases.values():
            self._tell(leases, step(leases, Tick(), now_s))
        self._post(fact_board.step(self._board, fact_board.Tick(), now_s))
        if now_s - self._kept_s >= FILE_S:
            self._keep(now_s, FILE_S + ORPHANS_S + REST_S)

    # ------------------------------------------------------------------ what is shown

    def standing(self) -> dict[Name, Standing]:
        """A ban is one incident, for all accounts."""
        return {
            Name("ip_ban", "supervisor", exchange): Standing("warning", text) for exchange, text in self._on().items()
        }

    def reasons(self) -> list[str]:
        """What keeps the fleet from being healthy."""
        now_s = self._clock()
        return [
            f"for {self._bans[exchange].until_s - now_s:.0f} s more: {text}" for exchange, text in self._on().items()
        ]

    def rows(self) -> list[Message]:
        """The requests of each exchange, for `status --json`: permits, how many of them workers have, and guests."""
        now_s = self._clock()
        return [
            {
                "exchange": exchange,
                "limit": leases.limit,
                "lent": sum(one.held for one in leases.members.values() if not one.is_guest),
                "guests": sum(one.held for one in leases.members.values() if one.is_guest),
                "free": leases.pool,
                "banned_s": round(max(0.0, leases.banned_until_s - now_s), 1),
            }
            for exchange, leases in self._leases.items()
            if leases.members
        ]

    # ------------------------------------------------------------------ inside

    def _on(self) -> dict[str, str]:
        now_s = self._clock()
        return {exchange: f"{exchange}: {ban}" for exchange, ban in self._bans.items() if ban.is_on(now_s)}

    def _banned(self, account: str, message: Message, now_s: float) -> None:
        exchange = self._exchange_of[account]
        until_s = min(float(message["until_s"]), now_s + BAN_MOST_S)
        known = self._bans.get(exchange)
        if known is None or until_s > known.until_s:
            self._bans[exchange] = ban_of(until_s, now_s, message["ret_code"], message["http_status"])
        leases = self._leases.get(exchange)
        if leases is not None:
            self._tell(leases, step(leases, Banned(until_s), now_s))
            self._keep(now_s, FILE_S + ORPHANS_S + REST_S)
            return
        for name in (name for name, its in self._exchange_of.items() if its == exchange and name != account):
            self._pass(name, {"type": "lease", "lent": None, "ban": self._ban_message(exchange, now_s)})

    def _tell(self, leases: Leases, effects: Iterable[Lease]) -> None:
        now_s = self._clock()
        for name, lent, keep in ((each.name, each.lent, each.keep) for each in effects):
            ban = self._ban_message(self._exchange_of[name], now_s)
            word: Message = {"lent": lent, "keep": keep, "floor": leases.floor, "ahead": leases.ahead, "ban": ban}
            self._pass(name, {"type": "lease", **word})

    def _pass(self, name: str, message: Message) -> None:
        """To a worker; a guest hears in the answer to what it says next."""
        if name not in self._guests:
            self._send(name, message)

    def _ban_message(self, exchange: str, now_s: float) -> Message | None:
        ban = self._bans.get(exchange)
        if ban is None or not ban.is_on(now_s):
            return None
        return {"until_s": ban.until_s, "ret_code": ban.error.ret_code, "http_status": ban.error.http_status}

    def _post(self, effects: Iterable[fact_board.Effect]) -> None:
        for effect in effects:
            word: Message = {"type": FACT_WORDS[type(effect)], "key": effect.key}
            if isinstance(effect, Tell):
                word["value"] = effect.value
            self._send(effect.name, word)

    # ------------------------------------------------------------------ the file

    def _keep(self, now_s: float, for_s: float) -> None:
        """Write how many permits may be in use for `for_s` seconds from now, and the ban."""
        self._kept_s = now_s
        if self._file is not None:
            self._file.save(self._document(now_s, for_s))

    def _document(self, now_s: float, for_s: float) -> Message:
        wall_ms = self._wall_ms()
        document: Message = {"version": VERSION}
        ahead_s = wall_ms / 1000 - now_s
        document["line_starts"] = {
            exchange: [round((given_s + ahead_s) * 1000) for given_s in grants.given_s(now_s)]
            for exchange, grants in self._grants.items()
        }
        for exchange, leases in self._leases.items():
            ban = self._ban_message(exchange, now_s)
            used = {"used": leases.limit - leases.pool, "of_spare": leases.spare - leases.spare_left}
            document[exchange] = {**used, "until_ms": wall_ms + round(for_s * 1000)}
            if ban is not None:
                until_ms = wall_ms + round((ban.pop("until_s") - now_s) * 1000)
                document[exchange]["ban"] = {**ban, "until_ms": until_ms}
        return document

    def _inherit_ban(self, exchange: str, leases: Leases, left: Message) -> None:
        ban = left.get("ban")
        until_s = self._at_s(ban.get("until_ms"), BAN_MOST_S) if isinstance(ban, dict) else 0.0
        if isinstance(ban, dict) and until_s > self._clock():
            code, status = _whole(ban.get("ret_code")) or None, _whole(ban.get("http_status")) or None
            self._bans[exchange] = ban_of(until_s, self._clock(), code, status)
            leases.banned_until_s = until_s

    def _at_s(self, until_ms: object, most_s: float) -> float:
        """That time on the monotonic clock, at most so far from now, whatever the clock says."""
        left_s = (_whole(until_ms) - self._wall_ms()) / 1000
        return self._clock() + min(left_s, most_s)


def _whole(value: object) -> int:
    return value if type(value) is int else 0

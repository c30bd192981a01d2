"""What an account has on the paper exchange by its own lists, asked by plain pybit: a judge that is not ours."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pybit.unified_trading import HTTP

from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets

__all__ = ["Books", "PlainBooks"]

LISTED = 50


@dataclass(frozen=True, slots=True)
class Books:
    """Orders at rest that open, those that reduce, open legs (base currency), and levels with more than one order."""

    opening: int
    closing: int
    legs: dict[str, Decimal]
    doubled: tuple[str, ...]

    @property
    def resting(self) -> int:
        return self.opening + self.closing


class PlainBooks:
    """One session of pybit for each account of a configuration, with the keys of its data directory."""

    def __init__(self, config: Path, data_dir: Path) -> None:
        self._config = config
        self._data_dir = data_dir
        self._sessions: dict[str, HTTP] = {}

    def books(self, account: str, url: str) -> Books:
        """Raises RequestException where no exchange is at `url`, FailedRequestError when it refuses."""
        session = self.session(account, url)
        orders = session.get_open_orders(category="linear", settleCoin="USDT", limit=LISTED)["result"]["list"]
        legs = session.get_positions(category="linear", settleCoin="USDT")["result"]["list"]
        levels = [(row["symbol"], row["positionIdx"], row["price"]) for row in orders]
        return Books(
            opening=sum(not row["reduceOnly"] for row in orders),
            closing=sum(bool(row["reduceOnly"]) for row in orders),
            legs={f"{row['symbol']} {row['side']}": Decimal(row["size"]) for row in legs if Decimal(row["size"] or 0)},
            doubled=tuple(sorted({str(level) for level in levels if levels.count(level) > 1})),
        )

    def newest_fill(self, account: str, url: str) -> str:
        """The id of the newest execution; "" for none."""
        rows = self.session(account, url).get_executions(category="linear", limit=1)["result"]["list"]
        return str(rows[0]["execId"]) if rows else ""

    def session(self, account: str, url: str) -> HTTP:
        if account not in self._sessions:
            config = with_paper_secrets(load_config(self._config), paper_seed(self._data_dir)).account(account)
            self._sessions[account] = HTTP(
                api_key=config.api_key.get_secret_value(),
                api_secret=config.api_secret.get_secret_value(),
                timeout=20,
                recv_window=20000,
            )
        session = self._sessions[account]
        session.endpoint = url
        return session

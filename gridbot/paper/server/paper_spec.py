"""Arguments of a paper exchange process: plain values that can be pickled for a child."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.paper.settings import PaperConfig

__all__ = ["PaperAccount", "PaperSpec"]


@dataclass(frozen=True, slots=True)
class PaperAccount:
    """One account of the exchange. `balance` is USDT, None takes `PaperConfig.default_balance`.

    `ips` binds the key to addresses (others get 10010). With `rsa_public_key`, in PEM, requests are signed with its
    private half, as with Bybit's self-generated keys, and `api_secret` is not used.
    """

    name: str
    api_key: str
    api_secret: str = field(repr=False)
    balance: Decimal | None = None
    ips: tuple[str, ...] = ()
    rsa_public_key: str = ""


@dataclass(frozen=True, slots=True)
class PaperSpec:
    """Configuration and accounts. `host` and `port` override the configuration's when given.

    `setup_logging` is called first in the child process; it must be picklable (a function or functools.partial).
    `control_token` is what `POST /paper/control` asks for; without one the server makes its own.
    """

    config: PaperConfig = field(default_factory=PaperConfig)
    accounts: Sequence[PaperAccount] = ()
    host: str | None = None
    port: int | None = None
    setup_logging: Callable[[], None] | None = None
    control_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for what, values in (
            ("name", [account.name for account in self.accounts]),
            ("API key", [account.api_key for account in self.accounts]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"expected each paper account to have its own {what}; two are the same")
        if any(not (account.api_secret or account.rsa_public_key) for account in self.accounts):
            raise ValueError("expected each paper account to have a secret; without one anybody could sign for it")

    def balance_of(self, account: PaperAccount) -> Decimal:
        return self.config.default_balance if account.balance is None else account.balance

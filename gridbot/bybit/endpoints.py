"""Where each environment lives, and the keys to it. Importable without pybit.

Hosts are those of docs/bybit.md 1.1. `endpoints_for` is the only place in the project that maps an environment to
addresses; everything else gets `Endpoints`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from gridbot.bybit.signing import signer_of
from gridbot.exchange.environment import Environment

__all__ = ["Credentials", "Endpoints", "endpoints_for"]

PUBLIC_PATH = "/v5/public/linear"
PRIVATE_PATH = "/v5/private"
TRADE_PATH = "/v5/trade"
PROOF_OF = b"GET/public"
"""What a paper account signs to have its public streams known for its own (`paper/api/auth.py`)."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Complete addresses: `rest` without a path, each `ws_*` with its path. `ws_trade` is "" where there is none."""

    rest: str
    ws_public: str
    ws_private: str
    ws_trade: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its secret, which may be an RSA private key in PEM.

    Neither is shown by `repr` or `str`, nor by a log line that holds the object.
    """

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)


def _hosts(rest: str, public: str, private: str, trade: str) -> Endpoints:
    return Endpoints(
        rest=f"https://{rest}",
        ws_public=f"wss://{public}{PUBLIC_PATH}",
        ws_private=f"wss://{private}{PRIVATE_PATH}",
        ws_trade=f"wss://{trade}{TRADE_PATH}" if trade else "",
    )


_LIVE = {
    Environment.MAINNET: _hosts("api.bybit.com", "stream.bybit.com", "stream.bybit.com", "stream.bybit.com"),
    Environment.TESTNET: _hosts(
        "api-testnet.bybit.com", "stream-testnet.bybit.com", "stream-testnet.bybit.com", "stream-testnet.bybit.com"
    ),
    # Demo has no public stream of its own (it uses mainnet's) and no order entry by WebSocket.
    Environment.DEMO: _hosts("api-demo.bybit.com", "stream.bybit.com", "stream-demo.bybit.com", ""),
}


def endpoints_for(
    environment: Environment, paper_url: str | None = None, credentials: Credentials | None = None
) -> Endpoints:
    """Return the addresses of `environment`.

    `paper_url` is the base address of a running paper exchange, like `http://127.0.0.1:8123`; it is needed for
    `PAPER` and refused for every other environment, so that a live account can never be pointed elsewhere by accident.
    Raises ValueError when it is missing, superfluous or no http(s) address.

    With `credentials` the public stream of a paper exchange has them named in its address: strangers of this machine
    cannot use up its limit of new connections then. The proof is made from the secret, for this alone, and opens
    nothing else. Other environments never have it.
    """
    if environment is not Environment.PAPER:
        if paper_url is not None:
            raise ValueError(
                f"expected no paper address for environment {environment}, got {paper_url}; only paper accounts take it"
            )
        return _LIVE[environment]
    if not paper_url:
        raise ValueError("expected the address of the running paper exchange, got none; start the paper exchange first")
    parts = urlsplit(paper_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"expected a paper address like http://127.0.0.1:8123, got {paper_url}")
    base = f"{parts.scheme}://{parts.netloc}"
    ws_base = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
    return Endpoints(
        rest=base,
        ws_public=ws_base + PUBLIC_PATH + (_named(credentials) if credentials is not None else ""),
        ws_private=ws_base + PRIVATE_PATH,
        ws_trade=ws_base + TRADE_PATH,
    )


def _named(credentials: Credentials) -> str:
    proof = quote(signer_of(credentials.api_secret)(PROOF_OF), safe="")
    return f"?key={quote(credentials.api_key, safe='')}&proof={proof}"

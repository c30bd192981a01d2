"""What an operator can do about a refused order, or a reading that fails, by code and kind. Tables, pure."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind, ExchangeError

__all__ = ["key_pause", "reading_remedy", "remedy_for", "with_reading_remedy", "with_remedy"]

_UNKNOWN = "look for the code in Bybit's list of error codes, and report it"
_TERMS = "its instrument is read again; if it goes on, restart the account, and look at amount and grid_step"
_BY_TEXT = (
    (
        "position idx",
        "the symbol is not in hedge mode: close its positions and orders on Bybit, gridbot then switches it back",
    ),
    ("openapi sign params", "check the API key"),
    ("maximum limit allowed", "the order is too large for the symbol: lower amount"),
    ("minimum limit allowed", "the order is too small for the symbol: raise amount"),
    ("not supported symbols", "the exchange does not list the symbol: correct it in the configuration"),
    ("pricelimit", "the price is outside what the exchange allows now: narrow the grid, or wait until it comes back"),
    ("symbol invalid", "the exchange does not list the symbol: correct it in the configuration"),
)
_ANEW = "then restart the account; without that the next try is when the pause is over"
_WORLDS = "mainnet, testnet and demo have keys of their own"
_BY_CODE = {
    10003: f"the exchange does not know the API key ({_WORLDS}): correct it, {_ANEW}",
    10004: f"the API secret does not belong to the key: correct it, {_ANEW}",
    10005: f"the API key lacks a permission: on Bybit allow it orders and positions of contracts, {_ANEW}",
    10010: f"the API key is bound to other addresses: on Bybit add the address of this machine, {_ANEW}",
    33004: f"the API key has expired: make a new one on Bybit, enter it in the configuration, {_ANEW}",
    10020: "the account is not a unified one: upgrade it on Bybit, then resume the account",
    30228: "the symbol is being delisted: gridbot closes only; close what is left before the date that status names",
    3400045: "set the margin mode on Bybit: cross is what gridbot needs",
    110003: "the price is outside what the exchange allows now: narrow the grid, or wait until the price comes back",
    110016: "the position would pass its risk limit: lower amount, or choose a higher risk limit on Bybit",
    110017: "nothing is left of the position to close: cancel the order that closes it, or leave it to that one",
    110020: "too many orders rest on the symbol: cancel some, or lower grid_count",
    110023: "the symbol may only be reduced: gridbot closes only; look at Bybit's announcements",
    110042: "the symbol is about to be settled: gridbot closes only",
    110066: "trading of the symbol stands still: gridbot waits and tries again each minute",
    110071: "Bybit is changing the account: wait until that is done, then resume the account",
    110074: "the symbol is not live: gridbot waits until it trades",
    110094: "the order is worth too little: raise amount",
    110119: "Bybit documents no text for it: look at amount and grid_step, the rules of the symbol, and its news",
    110135: "the symbol is an event contract, which gridbot does not trade: take another one",
    110136: "the symbol is an event contract, which gridbot does not trade: take another one",
    110137: "the symbol is an event contract, which gridbot does not trade: take another one",
    170003: "Bybit has changed what an order request may hold: look for a newer gridbot, and report it",
    170193: "the price is too high for the exchange: narrow the grid",
    170194: "the price is too low for the exchange: narrow the grid",
}
_BY_KIND = {
    ErrorKind.RATE_LIMIT: "it sends less by itself",
    ErrorKind.IP_BAN: "it waits by itself; run fewer programs on this address, or see whether Bybit serves it",
    ErrorKind.NO_LEASE: "it goes on by itself when this host has the account's lease again; look at fleet status",
    ErrorKind.RETRY: "it tries again by itself; look at the connection and at Bybit's status page",
    ErrorKind.AMBIGUOUS: "each order is looked up by itself; look at the connection and at Bybit's status page",
    ErrorKind.RESYNC: "positions and orders are read again by themselves; look at what else trades on the account",
    ErrorKind.AUTH: f"check the API key and its secret, {_ANEW}",
    ErrorKind.DUPLICATE: "each order is looked up by itself; does another program trade with this account?",
    ErrorKind.NOT_FOUND: "orders are compared with the exchange by themselves",
    ErrorKind.BALANCE: "add funds, or lower amount or grid_count",
    ErrorKind.PARAM: _TERMS,
    ErrorKind.NOOP: "orders are compared with the exchange by themselves",
    ErrorKind.SYMBOL: "such orders wait; the state of the symbol is read each minute, and shown by status",
    ErrorKind.HALT: "the exchange restricts account or symbol: look at its messages there, then resume the account",
}

_READ_AGAIN = "it is read again by itself"
_ASK_AGAIN = "give the command again"
_OF_READINGS = {
    10003: f"the exchange does not know the API key ({_WORLDS}): correct it, then restart the account",
    10004: "the API secret does not belong to the key: correct it, then restart the account",
    10005: "the API key lacks a permission: on Bybit allow it to read orders, positions and wallet",
    10010: "the API key is bound to other addresses: on Bybit add the address of this machine",
    33004: "the API key has expired: make a new one on Bybit, enter it in the configuration, then restart the account",
}
_OF_READINGS_BY_KIND = {
    ErrorKind.RATE_LIMIT: "{again}; run fewer programs with this account",
    ErrorKind.IP_BAN: "{waits}; run fewer programs on this address, or see whether Bybit serves it",
    ErrorKind.RETRY: "{again}; look at the connection and at Bybit's status page",
    ErrorKind.AMBIGUOUS: "{again}; look at the connection and at Bybit's status page",
    ErrorKind.AUTH: "check the API key and its secret, then restart the account",
}


def remedy_for(error: ExchangeError) -> str:
    """One sentence: what to do, or what is done already."""
    lowered = error.message.lower()
    by_text = next((remedy for marker, remedy in _BY_TEXT if marker in lowered), "")
    if error.is_unknown and not by_text:
        return _UNKNOWN
    return by_text or _BY_CODE.get(error.ret_code or 0, _BY_KIND[error.kind])


def with_remedy(error: ExchangeError) -> str:
    """What the exchange said, with its code, and what to do."""
    return f"{error}; {remedy_for(error)}"


def reading_remedy(error: ExchangeError, *, once: bool = False) -> str:
    """One sentence about a reading that fails: what is said of orders does not fit it.

    `once`: it was read for a command, and nobody reads it again by himself.
    """
    if error.is_unknown:
        return _UNKNOWN
    by_code = _OF_READINGS.get(error.ret_code or 0)
    text = by_code or _OF_READINGS_BY_KIND.get(error.kind, "{again}; if it goes on, report it with this text")
    waits = f"wait until it is over, then {_ASK_AGAIN}" if once else "it waits by itself"
    return text.format(again=_ASK_AGAIN if once else _READ_AGAIN, waits=waits)


def with_reading_remedy(error: ExchangeError, *, once: bool = False) -> str:
    """As `with_remedy`, of a reading."""
    return f"{error}; {reading_remedy(error, once=once)}"


def key_pause(error: ExchangeError) -> str:
    """Why all orders of an account are paused when its key was refused again and again."""
    return f"orders are paused after repeated authentication errors: {with_remedy(error)}"

"""The embedded paper exchange: Bybit V5 linear perpetuals over loopback, for real clients.

Rooms from the top down; each imports only rooms below it, and only those named (tests/paper/test_pure.py compares this
table with the code):

    server    -> api, api_error, engine, faults, feed, ledger, params, settings, storage, streams
    storage   -> accounts, engine, market, streams
    feed      -> engine, market, settings, streams
    streams   -> accounts, api, api_error, engine, faults, market, rows
    api       -> accounts, api_error, calls, engine, settings
    calls     -> accounts, api_error, engine, market, params, rows, settings
    params    -> accounts, api_error, market
    engine    -> accounts, api_error, ledger, market, rows, settings, stops, worth
    stops     -> accounts, api_error, ledger, market, rows
    ledger    -> accounts, market, rows, settings, worth
    rows      -> accounts, market, worth
    worth     -> accounts, market
    accounts  -> nothing
    market    -> settings
    settings  -> faults
    faults    -> nothing
    api_error -> nothing

- `server`: the process, its port, HTTP. `storage`: the state file and its journal. `feed`: what moves the prices.
  `streams`: WebSocket channels, and when what the exchange says leaves it.
- `api`: from an HTTP request to an endpoint and back: routes, signatures, request limits. `calls`: the endpoints.
  `params`: request parameters to checked values.
- `engine`: what becomes of orders; `Exchange` is its face. `stops`: stops and settings of positions. `ledger`: what all
  of it is booked in: resting and waiting orders, fills, ends, fundings.
- `rows`: rows as Bybit writes them, and the outbox of the private streams. `worth`: what legs and accounts are worth,
  and when they are liquidated. `accounts`: orders, legs, wallets. `market`: instruments and prices.
- `settings`: the configuration section. `faults`: what goes wrong on command. `api_error`: a refusal, as the client
  sees it.

`market` to `api` are pure: no I/O, clock or randomness of their own; time comes in with each call.
"""

"""Bybit, for one account. The only package that knows pybit.

REST
    rest.py               `BybitRest`: queries and settings of the account      (`ports.ExchangeQueries`)
    order_gateway.py      `BybitOrderGateway`: create and cancel orders         (`ports.OrderGateway`)
    order_ways.py         by which way a request for orders leaves: HTTP or the trade socket
    calls.py              one request, all pages of a listing, silence during a ban
    session.py            requests on the loop: how many at a time, what is learned from their answers
    pybit_client.py       pybit's HTTP client, which builds requests and reads answers
    carrier.py            what takes them to the exchange, as an interface
    http_pool.py          the connections of an account; http_connection.py: one of them
    dialling.py           how one is made: names, TLS
    answer_reader.py      bytes as answers, with an end to all of them

Streams
    streams.py            `StreamSet`: both streams of an account               (`ports.Streams`)
    stream_settings.py    how they are run
    stream_connection.py  one stream across its connections
    connection_life.py    one connection: sign-in, topics, and what is known of it; stream_talk.py: the words
    watchdog.py           when a connection is dead, and when to reconnect
    ticker_merger.py      snapshots and deltas as tickers
    mailbox.py            what has come, until the worker looks
    private_frames.py     messages of the private topics as events

Order entry over WebSocket
    trade_socket.py       `TradeSocket`: one connection after another           (`ports.OrderSocket`)
    trade_line.py         what becomes of the requests on one; trade_frames.py: requests and answers

WebSockets
    socket_line.py        one connection on the loop: what it promises, whatever library makes it
    line_choice.py        which one does
    line_base.py          what they have in common: life, pings, words for errors
    aiohttp_line.py, picows_line.py     the libraries
    line_route.py         the way there: proxy, address, socket; line_room.py: how many may still be opened

Shared
    endpoints.py          hosts of each environment, and the keys
    clocks.py             every reading of a clock; the exchange's clock
    error_mapping.py      exceptions and codes as `ExchangeError`; ret_codes.py: the table of codes
    parse_account.py, parse_market.py   JSON rows as values; raw_fields.py: reading their fields

Only pybit_client.py and stream_talk.py import pybit. Import from the modules; this one stays empty so that
`endpoints` can be imported without pybit.
"""

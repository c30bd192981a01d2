"""Bybit, for an account. The only package that knows pybit.

    environment.py  which exchange, where it lives, the keys       (no pybit)
    types.py        requests and answers that are no core event    (no pybit)
    ret_codes.py    Bybit's codes, what each asks of us            (no pybit)
    errors.py       one exception tree, `classify`                 (no pybit)
    parse.py        JSON rows to core events                       (no pybit)
    rest.py         `BybitRest`: everything asked and told by HTTP
    session.py      pybit's HTTP client in threads; pool.py the threads
    streams.py      `StreamSet`: two streams, watched and revived
    link.py         one stream across its connections; watchdog.py when one is dead (no pybit)
    socket.py       pybit's WebSocket: one connection; mailbox.py from its thread to the loop (no pybit)

Import from the modules; this one stays empty so that the configuration can import `environment` without pybit.
"""

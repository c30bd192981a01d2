"""The endpoints. The first word of a path says in which module its call is:

    account        -> account_calls
    announcements  -> notice_calls
    apilimit       -> key_calls
    asset          -> asset_calls
    execution      -> order_queries
    market         -> market_calls, market_history_calls
    order          -> order_calls, order_queries, precheck_call
    position       -> position_calls
    system         -> notice_calls
    user           -> key_calls

`api/dispatch.py` has the table of all paths; `tests/paper/test_pure.py` compares it with this one.
"""

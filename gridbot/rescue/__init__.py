"""An account without its worker: cancels, closes and holds by REST alone, with that account's key and state.

rescue_books     the account's journal and documents, as far as the disk has them
rescue_hands     hands for `gridbot.flatten`, without books of orders and without a gate
rescue           one command: the lock of the key, the holds, flattening, the records
account_view     what an account has, to be looked at before
rescue_entry     its process, forked like a worker
"""

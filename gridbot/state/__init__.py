"""What survives a restart, and the locks that keep one trader per key.

    state_files, documents       the small files of an account and the thread that writes them
    ledger_checkpoint, run_log   the ledger, from a checkpoint and the journal; runs of a process
    strategy_store               what the strategies save
    key_lock, key_socket,        one trader per API key on a machine
    lock_directory

The atomic write itself is `gridbot.atomic_file`, because rooms below this one use it too.
"""

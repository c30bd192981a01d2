"""What a process records: record types, their bytes, the journal that keeps them, the recorder that numbers them.

    record_types, builders    what can be recorded, and how events and orders become records
    state_record              the one that stays in the journal
    codec                     a record as a checksummed line of JSON, and back; arrow_schemas for readers of an export
    journal, journal_*        the append-only files of an account: writing, recovery, syncing, reading
    recorder                  the only way into a journal: gives numbers, never raises into trading

How records get into DuckDB is `gridbot.store`.
"""

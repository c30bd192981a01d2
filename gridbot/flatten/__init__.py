"""Cancels what rests and closes what is open of an account, and says what remains and why.

`flatten_step` is the state machine: pure, of values (`flatten_words`, `flatten_state`, `flatten_legs`,
`flatten_report`); `flatten_invariants` says what always holds. `flatten_drive` carries its effects out by REST, for a
worker and for the rescue of an account without one (`gridbot.rescue`).
"""

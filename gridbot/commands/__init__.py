"""What an operator can ask of a running fleet: one table, and what its arguments may be.

Declarations only. Worker and supervisor bind the handlers, the command line makes its commands from the table, and the
records name it. `command_table` is quick to import; `arguments` loads pydantic.
"""

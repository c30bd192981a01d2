"""The state file and its journal: what lets an exchange come back as it was."""

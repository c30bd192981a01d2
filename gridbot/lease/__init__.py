"""A worker's right to send for its account, while a fleet of several hosts shares it (docs/fleet.md)."""

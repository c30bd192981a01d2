"""gridbot: what one account's worker is made of. See docs/architecture.md for the map."""

__version__ = "0.1.0"

"""The version of gridbot, in a module of its own: whoever needs it does not import the package's face."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"

"""Signatures of self-generated keys (docs/bybit.md 1.2). Pure. pycryptodome comes with pybit, which signs with it."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15

__all__ = ["is_rsa_signed"]


@lru_cache(maxsize=64)
def _key(pem: str) -> RSA.RsaKey:
    return RSA.import_key(pem)


def is_rsa_signed(public_key: str, signature: str, text: bytes) -> bool:
    """True when the base64 signature over the text was made with the private half of the PEM key."""
    try:
        pkcs1_15.new(_key(public_key)).verify(SHA256.new(text), base64.b64decode(signature, validate=True))
    except (ValueError, TypeError, binascii.Error):
        return False
    return True

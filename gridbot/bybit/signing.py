"""How an account's requests and sign-ins are signed: HMAC-SHA256 in hex, or RSA in base64 (docs/bybit.md 1.2).

An RSA signature costs 0.3 ms with cryptography (the extra `fast`) and 1 ms with pycryptodome, which pybit brings; an
HMAC 2 µs. The key is read once: pybit reads it anew for every request.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256

from gridbot.exchange.rsa_keys import is_rsa_key

__all__ = ["Signer", "has_cryptography", "prepare_signing", "rsa_by_cryptography", "rsa_by_pycryptodome", "signer_of"]

_BLOCK = 64
"""Bytes that SHA-256 takes at a time."""

Signer = Callable[[bytes], str]
"""Takes what is to be signed, gives the signature as it is sent."""


def has_cryptography() -> bool:
    """Whether RSA is signed by OpenSSL."""
    return importlib.util.find_spec("cryptography") is not None


@lru_cache(maxsize=64)
def signer_of(secret: str) -> Signer:
    """What signs for an account. Raises ValueError when a key in PEM cannot be read."""
    if is_rsa_key(secret):
        return rsa_by_cryptography(secret) if has_cryptography() else rsa_by_pycryptodome(secret)
    # HMAC by its definition (RFC 2104): the module's object takes four more steps for each signature.
    key = secret.encode()
    key = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner_begun = sha256(bytes(byte ^ 0x36 for byte in key))
    outer_begun = sha256(bytes(byte ^ 0x5C for byte in key))

    def sign(text: bytes) -> str:
        inner, outer = inner_begun.copy(), outer_begun.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()

    return sign


def prepare_signing() -> None:
    """Import what signs with RSA: in the fork server, where an account has such a key."""
    for name in ("asymmetric.padding", "asymmetric.rsa", "hashes", "serialization") if has_cryptography() else ():
        importlib.import_module(f"cryptography.hazmat.primitives.{name}")


def rsa_by_cryptography(pem: str) -> Signer:
    """By OpenSSL."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("expected an RSA private key, got one of another kind")
    sign, padding, digest = key.sign, PKCS1v15(), SHA256()
    return lambda text: base64.b64encode(sign(text, padding, digest)).decode()


def rsa_by_pycryptodome(pem: str) -> Signer:
    """By pycryptodome, which is always there."""
    from Crypto.Hash import SHA256
    from Crypto.PublicKey import RSA
    from Crypto.Signature import pkcs1_15

    signing = pkcs1_15.new(RSA.import_key(pem))
    return lambda text: base64.b64encode(signing.sign(SHA256.new(text))).decode()

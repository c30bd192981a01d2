"""RSA keys in place of an API secret: whoever makes a key at Bybit may keep the private half and upload the public one.

An API secret that is a private key in PEM says by itself that requests are signed with it: RSA PKCS#1 v1.5 over
SHA-256, in base64 (docs/bybit.md 1.2). Pure. pycryptodome comes with pybit; it is imported when there is such a key.
"""

from __future__ import annotations

from typing import Final

__all__ = ["is_rsa_key", "key_problem", "one_text", "public_half", "telling_lines"]

LEAST_BITS: Final = 2048
"""Of the keys that Bybit takes."""
_BEGIN: Final = "-----BEGIN "
_TELLING: Final = 16
"""Characters of a line of a key that could be known again elsewhere."""


def is_rsa_key(secret: str) -> bool:
    """Whether an API secret is a key in PEM, and no shared secret."""
    return secret.startswith(_BEGIN)


def one_text(secret: str) -> str:
    r"""A key as its file has it: `.env` files and containers write its line ends as `\n`, two characters.

    Without blanks around it: a file with line ends of Windows leaves one at the end of a variable.
    """
    text = secret.strip()
    return text.replace("\\n", "\n").strip() if is_rsa_key(text) else text


def key_problem(secret: str) -> tuple[str, str, str] | None:
    """What was expected, what came and what to do, when this key cannot sign; None when it can."""
    from Crypto.PublicKey import RSA

    what = f"an RSA private key in PEM, of {LEAST_BITS} bits or more, without a passphrase"
    make = "openssl genrsa -out key.pem 2048, and upload what `openssl rsa -in key.pem -pubout` prints"
    if "ENCRYPTED" in secret:
        do = "take the passphrase off: openssl rsa -in key.pem -out plain.pem, and let nobody else read that file"
        return what, "one with a passphrase", do
    try:
        key = RSA.import_key(secret)
    except (ValueError, IndexError, TypeError):
        if _is_elliptic(secret):
            return what, "an elliptic key", f"Bybit takes RSA alone: {make}"
        return what, "a key that cannot be read", f"give the whole file, with its first and last line; or {make}"
    if not key.has_private():
        return what, "a public key", "give the private half here; the public half is what Bybit has"
    if key.size_in_bits() < LEAST_BITS:
        return what, f"one of {key.size_in_bits()} bits", f"make a longer one: {make}"
    return None


def _is_elliptic(secret: str) -> bool:
    from Crypto.PublicKey import ECC

    try:
        ECC.import_key(secret)
    except (ValueError, IndexError, TypeError):
        return False
    return True


def public_half(secret: str) -> str:
    """The public key, in PEM, of a private or a public one. Raises ValueError for what is no RSA key."""
    from Crypto.PublicKey import RSA

    return RSA.import_key(secret).public_key().export_key().decode()


def telling_lines(secret: str) -> list[str]:
    """The lines of a key by which it would be known: a log may have it line by line. None of a shared secret."""
    if not is_rsa_key(secret):
        return []
    return [line for line in map(str.strip, secret.splitlines()) if len(line) >= _TELLING and "-----" not in line]

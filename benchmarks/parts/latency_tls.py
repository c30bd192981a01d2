"""TLS of `benchmarks/latency.py`: an authority made for one run, which the measured processes trust and nobody else."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["Authority", "server_context", "trust"]

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate, and certificate and key of the exchange on 127.0.0.1."""

    certificate: Path
    server: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        """Files in `directory`; valid for a day."""
        keys = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"gridbot benchmark {what}")])
                 for what in ("authority", "exchange")]  # fmt: skip
        now = datetime.datetime.now(datetime.UTC)
        made = []
        for is_server in (False, True):
            key, subject = keys[is_server], names[is_server]
            builder = (
                x509.CertificateBuilder(names[0], subject, key.public_key(), x509.random_serial_number())
                .not_valid_before(now - DAY)
                .not_valid_after(now + DAY)
                .add_extension(x509.BasicConstraints(ca=not is_server, path_length=None), critical=True)
                .add_extension(_usage(is_server), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
            )
            if is_server:
                address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
                builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
            made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        secret = keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        authority = cls(directory / "authority.pem", directory / "exchange.pem")
        authority.certificate.write_bytes(made[0])
        authority.server.touch(0o600)
        authority.server.write_bytes(secret + made[1])
        return authority


def _usage(is_server: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: (name == "digital_signature" if is_server else "sign" in name) for name in names})


def server_context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server)
    return context


def trust(authority: Path) -> ssl.SSLContext:
    """From here on this process verifies against the authority of the run alone, as it would against certifi's.

    gridbot has no setting for that, on purpose: whom it trusts is no matter of a configuration.
    """
    certifi.where = lambda: str(authority)
    return ssl.create_default_context(cafile=str(authority))

"""`sealcast identity request`: a signing request for a key that is in a token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cyclopts import Parameter

from sealcast.identity import key_uri, pkcs11
from sealcast.identity.keys import digest_for
from sealcast.identity.names import check_name
from sealcast.identity.private_files import hand_out


def request(
    name: Annotated[str, Parameter(help="Whose key it is, such as encoder/venue-1.")],
    *,
    key_uri_: Annotated[
        str,
        Parameter(
            name="--key-uri",
            help="pkcs11:token=…;object=…?module-path=…&pin-source=file:… (RFC 7512).",
        ),
    ],
    out: Annotated[Path, Parameter(help="Folder for the request and the key's place.")],
    new: Annotated[
        Literal["p256", "p384"] | None,
        Parameter(help="Make the key first, of this kind, in the token; it cannot be taken out."),
    ] = None,
) -> None:
    """Write a signing request for NAME with a key that is in a token.

    NAME-key.pem holds the URI in place of a key: what reads an end's folder finds the key by it. A
    renewal is the same again, without --new.
    """
    uri = key_uri.parse(key_uri_)
    stem = check_name(name).rpartition("/")[2]
    key = pkcs11.open_key(uri) if new is None else pkcs11.make_key(uri, new)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    pem = builder.sign(key, digest_for(key)).public_bytes(serialization.Encoding.PEM)
    # Who can read it learns where the key is, and who can write it moves it elsewhere.
    place, path = out / f"{stem}-key.pem", out / f"{stem}.csr"
    hand_out(place, f"{uri}\n".encode())
    hand_out(path, pem, mode=0o644)
    print(f"request  {path}   Have it signed: sealcast identity sign {path} {name}")
    print(f"key      {place}   says where it is: {uri}")

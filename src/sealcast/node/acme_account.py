"""The account at an ACME authority: found again by its key, or made (RFC 8555 §7.3).

Does: asks whether the key has an account already, and registers it if not; bound to a customer's
account where the authority wants that (external account binding, §7.3.4: ZeroSSL, Google and
others). Whoever binds gets the key's HMAC from the customer's page; it is in a file of mode 0600,
read when an account is made and not kept.

Does not: make the account's key (`sealcast.node.acme_store`), or order.

Specs: RFC 8555 §7.3, §7.3.1, §7.3.4. The protocol itself is certbot's `acme`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from acme import client, errors, messages
from josepy.jwk import JWKEC

from sealcast.errors import LocalError, RemoteError
from sealcast.identity.private_files import read_private

_BASE64URL: Final = re.compile(rb"[A-Za-z0-9_-]{16,}={0,2}")
_REFUSED_BINDINGS: Final = ("externalAccountRequired", "unauthorized", "malformed")


@dataclass(frozen=True, slots=True)
class Binding:
    """What the authority gave its customer: a key's name, and the file with the key."""

    kid: str
    hmac_key_file: Path

    def key(self) -> str:
        """The HMAC key, in base64url as the authority shows it.

        IDENTITY.KEY_UNREADABLE, IDENTITY.KEY_EXPOSED.
        """
        file = self.hmac_key_file
        try:
            text = read_private(file).strip()
        except OSError as error:
            raise LocalError("IDENTITY.KEY_UNREADABLE", f"{file}: {error.strerror}.") from error
        if not _BASE64URL.fullmatch(text):
            raise LocalError(
                "IDENTITY.KEY_UNREADABLE",
                f"{file}: acme.eab_hmac_key_file holds the key in base64url and nothing else.",
            )
        return text.decode()


def enter(
    acme: client.ClientV2,
    net: client.ClientNetwork,
    key: JWKEC,
    contact: tuple[str, ...],
    binding: Binding | None,
) -> None:
    """From now on `net` signs for the account of `key`. The terms were agreed to.

    ACME.BINDING, what `Binding.key` refuses, and the library's own errors.
    """
    known = messages.NewRegistration(only_return_existing=True)
    try:
        _register(acme, net, known)
    except messages.Error as error:
        if error.code != "accountDoesNotExist":
            raise
    else:
        return
    bound = None
    if binding is not None:
        bound = messages.ExternalAccountBinding.from_data(
            key.public_key(), binding.kid, binding.key(), acme.directory
        )
    elif getattr(acme.directory.meta, "external_account_required", False):
        raise RemoteError("ACME.BINDING", "It takes no account without.")
    new = messages.NewRegistration(
        contact=contact, terms_of_service_agreed=True, external_account_binding=bound
    )
    try:
        _register(acme, net, new)
    except messages.Error as error:
        if bound is None or error.code not in _REFUSED_BINDINGS:
            raise
        raise RemoteError("ACME.BINDING", f"{error.detail or error.typ}") from error


def _register(
    acme: client.ClientV2, net: client.ClientNetwork, registration: messages.NewRegistration
) -> None:
    try:
        acme.new_account(registration)
    except errors.ConflictError as known:
        # The account exists: its key says so, and it tells us its address.
        net.account = messages.RegistrationResource(
            body=messages.Registration(), uri=known.location
        )

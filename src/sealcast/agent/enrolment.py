"""The first certificate: a node that is not trusted yet, a fingerprint, a token.

    1  GET  /identity/authority.pem   over TLS that proves nothing: the root, if its SHA-256 is the
                                      fingerprint that came with the token
    2  GET  /identity/authority.pem   over TLS that proves the node by that root: whom to trust
       GET  /identity                 where renewals come in
    3  POST /identity/enrol           the token and the request, also over that TLS

Whoever is in between can spoil step 1 and learns nothing: the token is first sent in step 3.

Does: makes the key, which never leaves this machine; saves key, chain and roots.

Does not: try again. A token is good for one certificate.
"""

from __future__ import annotations

import datetime
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from sealcast.agent import answers
from sealcast.agent.asking import fresh_key, key_in_token
from sealcast.agent.https import Address, Proving, ask, proving
from sealcast.agent.place import Draft, Pair, Place
from sealcast.errors import LocalError, RemoteError
from sealcast.identity import certificates
from sealcast.identity.issued import check_place, check_roots, stem_of
from sealcast.identity.keys import DEFAULT_KIND
from sealcast.identity.names import SCHEME, check_name, spiffe_id
from sealcast.identity.profiles import Side
from sealcast.secret import Secret

PEM_TYPE: Final = "application/x-pem-file"
_DIGITS: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an operator hands to a new end. `fingerprint` is that of the authority."""

    node: Address
    fingerprint: str
    token: Secret

    @staticmethod
    def of(node: str, fingerprint: str, token: Secret) -> Ticket:
        """CLIENT.BAD_ADDRESS, AGENT.BAD_FINGERPRINT."""
        digits = re.sub(r"(?i)^sha-?256[ =:]*", "", fingerprint.strip())
        digits = digits.replace(":", "").lower()
        if not _DIGITS.fullmatch(digits):
            raise LocalError("AGENT.BAD_FINGERPRINT", f"It was {fingerprint[:100]!r}.")
        return Ticket(Address.of(node), digits, token)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The files, and what is in them. `secure` is where renewals come in, if the node says so."""

    place: Place
    pair: Pair
    fingerprint: str
    secure: str


def enrol(
    ticket: Ticket,
    folder: Path,
    now: datetime.datetime,
    *,
    name: str | None = None,
    kind: str = DEFAULT_KIND,
    key_uri: str | None = None,
) -> Enrolled:
    """Gets a certificate and saves it in `folder`, also over an older one of the same name. With
    `key_uri` the key is the one in a token, made there if there is none.

    `name`, if given, must be the one that the token is for. AGENT.WRONG_AUTHORITY,
    AGENT.OTHER_DOOR, AGENT.NODE_UNPROVED, CLIENT.UNREACHABLE, AGENT.BAD_CERTIFICATE,
    AGENT.CLOCKS_DIFFER, IDENTITY.NOT_WRITTEN, IDENTITY.NOT_ITS_FILES and what the node refuses with
    (IDENTITY.TOKEN_*). Until the token is sent everything can be tried again.
    """
    query = "" if name is None else "?" + urlencode({"name": check_name(name)})
    pinned = certificates.pem(
        answers.with_fingerprint(
            answers.roots_of(_root_of(ticket.node)),
            ticket.fingerprint,
        )
    )
    context = proving(pinned)
    roots_pem = _get(ticket.node, context, "/identity/authority.pem")
    answers.with_fingerprint(answers.roots_of(roots_pem), ticket.fingerprint)
    check_roots(folder, roots_pem)
    directory = answers.directory_of(_get(ticket.node, context, "/identity"))
    if name is not None:
        # Before the token is sent. Without a name only the answer says whose the files will be.
        uri = spiffe_id(directory.trust_domain, name)
        check_place(folder, stem_of(name), uri)
    key_pem, request = fresh_key(kind) if key_uri is None else key_in_token(key_uri, kind)
    # Before the token is sent: whoever cannot write must not use it up.
    draft = Draft(folder, key_pem)
    try:
        answer = ask(
            ticket.node,
            context,
            "POST",
            f"/identity/enrol{query}",
            body=request,
            headers={
                "content-type": PEM_TYPE,
                "authorization": f"Bearer {ticket.token.reveal().decode()}",
            },
        )
        pair = Pair.of(answer.body, key_pem, "The answer")
        answers.check_chain(pair, roots_pem, now)
        place = place_of(folder, pair.name)
        check_place(folder, place.stem, pair.name, Side.SERVER if pair.is_servers else Side.CLIENT)
        # The roots first: a pair is never there without whom to trust.
        place.put_roots(roots_pem)
        place.put(draft, answer.body)
        if directory.secure:
            place.remember_node(directory.secure)
    finally:
        draft.drop()
    root = answers.with_fingerprint(answers.roots_of(roots_pem), ticket.fingerprint)
    return Enrolled(place, pair, certificates.fingerprint(root), directory.secure)


def place_of(folder: Path, spiffe_id: str) -> Place:
    """Where the files of an end are: called by the last part of its name."""
    name = spiffe_id.removeprefix(SCHEME).partition("/")[2]
    return Place(folder, stem_of(name))


def _root_of(node: Address) -> bytes:
    """What the node shows as its authority; it is not proved yet. AGENT.OTHER_DOOR."""
    try:
        return _get(node, _proving_nothing(), "/identity/authority.pem")
    except RemoteError as error:
        # None was shown: the door asks for one, and whoever enrols has none.
        if error.code != "AGENT.CERTIFICATE_REFUSED":
            raise
        raise RemoteError("AGENT.OTHER_DOOR", f"It was {node}.") from error


def _get(node: Address, context: Proving, path: str) -> bytes:
    return ask(node, context, "GET", path).body


def _proving_nothing() -> ssl.SSLContext:
    """For the one answer that is judged by its fingerprint. Nothing secret is sent over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

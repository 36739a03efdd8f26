"""`sealcast identity`: an authority, and certificates from it or from the node's throw-away one."""

from __future__ import annotations

import base64
import datetime
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from sealcast.cli.authority_options import (
    AsJson,
    Data,
    PassphraseFile,
    now,
    open_authority,
    time_text,
    who,
)
from sealcast.cli.durations import seconds
from sealcast.cli.settings import ConfigFile, load_config, open_state
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import LocalError
from sealcast.identity import profiles
from sealcast.identity.authority import Authority, Wanted
from sealcast.identity.authority_keys import InToken
from sealcast.identity.ends import State, in_state
from sealcast.identity.founding import ROOT_FILE, ROOT_KEY_FILE, Founding, found
from sealcast.identity.issued import (
    ROOTS_FILE,
    Certified,
    Issued,
    check_place,
    check_roots,
    stem_of,
)
from sealcast.identity.names import check_name, spiffe_id
from sealcast.identity.private_files import (
    hand_out,
    handing_out,
    read_passphrase,
    write_private,
)
from sealcast.identity.profiles import Side
from sealcast.permission import finder
from sealcast.secret import Secret

if TYPE_CHECKING:
    from sealcast.identity.store import IssuedRow

DataIfAny = Annotated[
    Path | None,
    Parameter(
        env_var="SEALCAST_IDENTITY_DATA",
        help="The authority's folder; without it the node's throw-away authority issues.",
    ),
]
Name = Annotated[str, Parameter(help="Whose it is, such as encoder/venue-1.")]
ProfileName = Annotated[
    str | None,
    Parameter(
        name="--profile", help="service, encoder, viewer, admin or node; default: as NAME begins."
    ),
]
As = Annotated[
    Literal["client", "server"] | None,
    Parameter(name="--as", help="Which end of a handshake it is for; default: the profile's own."),
]
Hosts = Annotated[
    tuple[str, ...],
    Parameter(name="--host", help="A host name or address of a server; may be repeated."),
]
Lifetime = Annotated[
    str | None, Parameter(name="--for", help="How long it is valid; default: the profile's whole.")
]
KeyKind = Annotated[Literal["p256", "p384", "ed25519"], Parameter(help="The kind of key.")]
Out = Annotated[Path, Parameter(help="Folder for certificate, key and authority.")]


def init(
    *,
    data: Data,
    trust_domain: Annotated[str, Parameter(help="As in spiffe://TRUST-DOMAIN/encoder/venue-1.")],
    passphrase_file: PassphraseFile = None,
    root_passphrase_file: Annotated[
        Path | None, Parameter(help="One of its own for the root's key; default: the same.")
    ] = None,
    key: Annotated[Literal["p256", "p384"], Parameter(help="The kind of its keys.")] = "p256",
    host: Annotated[
        tuple[str, ...],
        Parameter(
            help="A DNS name that servers may have, with all below it; may be repeated; "
            "default: the trust domain."
        ),
    ] = (),
    network: Annotated[
        tuple[str, ...],
        Parameter(help="A network whose addresses servers may have; may be repeated."),
    ] = (),
    key_uri: Annotated[
        str | None,
        Parameter(help="pkcs11: of the token in which the issuing authorities' keys are made."),
    ] = None,
    root_key_uri: Annotated[
        str | None, Parameter(help="pkcs11: of the token in which the root's key is made.")
    ] = None,
) -> None:
    """Make an authority: an offline root, one issuing authority for clients, one for servers."""
    token, root_token = (
        None if uri is None else InToken.parse(uri) for uri in (key_uri, root_key_uri)
    )
    of_root = None if root_passphrase_file is None else read_passphrase(root_passphrase_file)
    # A key in a token is not sealed.
    seals = token is None or (root_token is None and of_root is None)
    passphrase = read_passphrase(passphrase_file) if seals else None
    founding = Founding(trust_domain, key, host, network)
    found(
        data,
        founding,
        passphrase,
        now(),
        who=who(),
        root_passphrase=of_root,
        token=token,
        root_token=root_token,
    )
    made = open_authority(data)
    print(f"trust domain  {made.trust_domain}")
    print(f"authority     {data / ROOT_FILE}   (SHA-256 {made.fingerprint(now())})")
    if root_token is None:
        place = f"{data / ROOT_KEY_FILE}   Take it off this machine: nothing here needs it."
    else:
        place = "in its token   Take it off this machine: nothing here needs it."
    print(f"root key      {place}")


def issue(
    name: Name,
    *,
    out: Out,
    data: DataIfAny = None,
    passphrase_file: PassphraseFile = None,
    profile: ProfileName = None,
    as_: As = None,
    host: Hosts = (),
    key: KeyKind = "p256",
    lifetime: Lifetime = None,
    pkcs12: Annotated[
        bool,
        Parameter(
            name="--pkcs12", negative="", help="Also NAME.p12; its passphrase is printed once."
        ),
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Issue a certificate for NAME, such as encoder/venue-1, viewer/vera or admin/ada."""
    if data is None:
        issued, root_pem, fingerprint = _throw_away(name, lifetime, config, profile, as_, host, key)
    else:
        authority = open_authority(data, passphrase_file)
        wanted = wanted_of(name, profile, as_, host, lifetime)
        with authority.noting("issue", wanted, now(), who()):
            _check_place(authority, wanted, out)
        issued = authority.issue(wanted, now(), who=who(), kind=key)
        root_pem, fingerprint = authority.bundle_pem(now()), authority.fingerprint(now())
    stem = stem_of(name)
    chain, key_file = issued.save(out, stem)
    _say(issued, chain, key_file, _save_root(out, root_pem), fingerprint)
    if pkcs12:
        print(f"PKCS#12      {_save_pkcs12(issued, root_pem, out / f'{stem}.p12')}")


def sign(
    request: Annotated[Path, Parameter(help="A certificate signing request (PKCS#10, PEM).")],
    name: Name,
    *,
    out: Out,
    data: Data,
    passphrase_file: PassphraseFile = None,
    profile: ProfileName = None,
    as_: As = None,
    host: Hosts = (),
    lifetime: Lifetime = None,
) -> None:
    """Sign a request for NAME, whose key its holder made and keeps."""
    authority = open_authority(data, passphrase_file)
    wanted = wanted_of(name, profile, as_, host, lifetime)
    with authority.noting("sign", wanted, now(), who()):
        try:
            pem = request.read_bytes()
        except OSError as error:
            raise LocalError(
                "IDENTITY.REQUEST_MALFORMED", f"{request}: {error.strerror}."
            ) from error
        _check_place(authority, wanted, out)
    signed = authority.sign(pem, wanted, now(), who=who())
    chain = signed.save(out, stem_of(name))
    _say(
        signed,
        chain,
        None,
        _save_root(out, authority.bundle_pem(now())),
        authority.fingerprint(now()),
    )


def list_(
    *,
    data: Data,
    name: Annotated[
        str, Parameter(help="Part of the name, or a pattern: encoder/venue-*, viewer/**.")
    ] = "",
    state: Annotated[
        tuple[Literal["valid", "due", "expired", "revoked"], ...],
        Parameter(
            help="Only the ends that stand so, each with the one certificate that counts; "
            "may be repeated."
        ),
    ] = (),
    json_: AsJson = False,
) -> None:
    """List what was issued, the newest first; with --state the ends, by name."""
    try:
        fits = finder(name)
    except ValueError as error:
        raise bad_argument(f"--name: {error}.") from None
    authority = open_authority(data)
    rows = in_state(authority, set(map(State, state)), now()) if state else authority.store.issued()
    _print_rows([row for row in rows if fits(row.name)], as_json=json_)


def show(name: Name, *, data: Data, json_: AsJson = False) -> None:
    """Show everything that was issued to NAME, with the newest certificate."""
    rows = open_authority(data).store.issued(name)
    if not rows:
        raise LocalError("IDENTITY.UNKNOWN", f"There is no record of {name[:128]!r}.")
    _print_rows(rows, as_json=json_)
    if not json_:
        print(rows[0].pem.decode(), end="")


# ---- between the verbs and the authority ------------------------------------------------------


def wanted_of(
    name: str,
    profile: str | None,
    as_: str | None,
    hosts: tuple[str, ...],
    lifetime: str | None,
) -> Wanted:
    return Wanted(
        name=name,
        profile=profile or name.partition("/")[0],
        side=None if as_ is None else Side(as_),
        hosts=hosts,
        lifetime=None
        if lifetime is None
        else datetime.timedelta(seconds=seconds(lifetime, "--for")),
    )


def _throw_away(
    name: str, lifetime: str | None, config: Path | None, *of_an_authority: object
) -> tuple[Issued, bytes, str]:
    if any(option not in (None, (), "p256") for option in of_an_authority):
        raise bad_argument("--profile, --as, --host and --key need an authority: --data.")
    authority = open_state(load_config(config)).authority
    valid = datetime.timedelta(seconds=seconds(lifetime or "90d", "--for"))
    return (
        authority.issue_client(name, now(), valid),
        authority.root_pem,
        authority.fingerprint,
    )


def _check_place(authority: Authority, wanted: Wanted, out: Path) -> None:
    """Whether the files can be written, and over nobody else's, before anything is issued."""
    uri = spiffe_id(authority.trust_domain, check_name(wanted.name))
    side = wanted.side or profiles.profile(wanted.profile).sides[0]
    check_place(out, stem_of(wanted.name), uri, side)
    check_roots(out, authority.bundle_pem(now()))
    probe = out / f".{secrets.token_hex(4)}"
    with handing_out(out):
        write_private(probe, b"")
        probe.unlink()


def _save_root(out: Path, root_pem: bytes) -> Path:
    root = out / ROOTS_FILE
    hand_out(root, root_pem, mode=0o644)
    return root


def _save_pkcs12(issued: Issued, root_pem: bytes, path: Path) -> str:
    # 120 bits, in letters and digits that are not taken for one another: people type it into the
    # page of an encoder, and paste it behind an option, where a dash at its beginning is another.
    passphrase = Secret(base64.b32encode(secrets.token_bytes(15)).decode().lower())
    hand_out(path, issued.pkcs12(root_pem, passphrase))
    return f"{path}   passphrase {passphrase.reveal().decode()}"


def _say(
    done: Issued | Certified, chain: Path, key: Path | None, root: Path, fingerprint: str
) -> None:
    print(f"name         {done.name}")
    print(f"certificate  {chain}   (serial {done.serial}, until {time_text(done.not_after_unix)})")
    if key is not None:
        print(f"key          {key}")
    print(f"authority    {root}   (SHA-256 {fingerprint})")


def _print_rows(rows: list[IssuedRow], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_facts(row) for row in rows], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(expand=False, pad_edge=False)
    for heading in ("name", "profile", "side", "until", "issued", "by", "revoked", "serial"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        revoked = (
            "" if row.revoked_unix is None else f"{time_text(row.revoked_unix)} {row.revoked_why}"
        )
        table.add_row(
            *(row.name, row.profile, row.side, time_text(row.not_after_unix)),
            *(time_text(row.issued_unix), row.issued_by, revoked, row.serial),
        )
    # Into a pipe or a file there is no width to keep to.
    (Console() if sys.stdout.isatty() else Console(width=_PIPE_WIDTH)).print(table)


def _facts(row: IssuedRow) -> dict[str, object]:
    return {
        "name": row.name,
        "uri": row.uri,
        "profile": row.profile,
        "side": row.side,
        "hosts": row.hosts,
        "serial": row.serial,
        "issuer": row.issuer,
        "not_before_unix": row.not_before_unix,
        "not_after_unix": row.not_after_unix,
        "issued_unix": row.issued_unix,
        "issued_by": row.issued_by,
        "by_token": row.token is not None,
        "revoked_unix": row.revoked_unix,
        "revoked_why": row.revoked_why,
    }


_PIPE_WIDTH = 160

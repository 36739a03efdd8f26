"""What the operator may say in `sealcast.toml`, and what holds where the file says nothing.

Does: names every setting once, with its type, its default and its meaning; reads a file; refuses
unknown keys, wrong types and impossible values, **all of them at once**, each with its line. Writes
the effective configuration and its JSON schema.

Does not: open ports or files. Secrets have no place in this file: keys and tokens live in the state
folder.

The caller must still: hand the result to `sealcast.node.supervisor`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from sealcast.errors import LocalError
from sealcast.node.config_judge import Complaint, judge, judge_meaning
from sealcast.node.config_paths import Place, anchored
from sealcast.permission.rules import Rule, usual_rules

Preset = Literal["strict", "standard", "compatible"]
"""A policy preset by name (`sealcast.policy`)."""

Bind = Annotated[
    str,
    Meta(
        pattern=r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]{1,5}$",
        description="must be ADDRESS:PORT, as in 0.0.0.0:8443 or [::]:8443 "
        "(port 0: the kernel chooses)",
    ),
]
StreamName = Annotated[
    str,
    Meta(
        # The rule of `sealcast.streams.check_stream_name`; a test compares the two.
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
        max_length=128,
        description="must be a stream's path, as in venue/stage-1: "
        "letters, digits, '.', '_', '-', at most 128 characters",
    ),
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^https://[^/*\s]+$",
        description="must be an origin, as in https://player.example "
        "(no path, no wildcard, HTTPS only)",
    ),
]


IceServer = Annotated[
    str,
    Meta(
        pattern=r"^stuns?:[^\s<>?;,]+$",
        description="must be a STUN server, as in stun:stun.example:3478",
    ),
]


def _both_families(port: int) -> list[str]:
    return [f"0.0.0.0:{port}", f"[::]:{port}"]


class _Table(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One table of the file."""


class Node(_Table, frozen=True):
    """The node itself."""

    state_dir: Annotated[
        Place, Meta(description="where keys and certificates live; empty: $XDG_STATE_HOME/sealcast")
    ] = ""
    names: Annotated[
        list[str],
        Meta(
            min_length=1,
            description="names and addresses that the node's own server certificate carries; "
            "the first is the one in printed addresses",
        ),
    ] = field(default_factory=lambda: ["localhost", "127.0.0.1", "::1"])
    trust_domain: Annotated[
        str,
        Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$", description="the SPIFFE trust domain, lower case"),
    ] = "sealcast.internal"
    publisher_grace_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="how many seconds viewers are kept after their publisher vanished: one who "
            "comes back in time has them again, else their legs end with STREAM.ENDED",
        ),
    ] = 15.0


_Binds = Annotated[
    list[Bind], Meta(description="addresses to listen on; empty: the door stays shut")
]


def _on(port: int) -> list[str]:
    """The default of a door's `bind`, a field of its own per door: a table that names only a
    certificate keeps the door where it was."""
    return field(default_factory=lambda: _both_families(port))


class Door(_Table, frozen=True):
    """One listening TCP port."""

    bind: _Binds = field(default_factory=list)
    certificate: Annotated[
        Place,
        Meta(
            description="PEM file of the chain, or the word acme or spiffe (tables of these "
            "names); empty: the throw-away authority issues one"
        ),
    ] = ""
    key: Annotated[Place, Meta(description="PEM file of the chain's private key, mode 0600")] = ""
    client_ca: Annotated[
        Place,
        Meta(
            description="PEM file of the authorities whose client certificates are admitted, where "
            "the door asks for one; empty: the throw-away authority"
        ),
    ] = ""


class PublicDoor(Door, frozen=True):
    """HTTPS for everybody; asks for no certificate unless told to."""

    bind: _Binds = _on(8443)
    client_certificate: Annotated[
        Literal["none", "optional"],
        Meta(
            description="optional: who has a certificate may show it instead of a token, and it "
            "must hold; browsers then ask their users to choose one"
        ),
    ] = "none"


class SecureDoor(Door, frozen=True):
    """HTTPS; a client certificate is required."""

    bind: _Binds = _on(8444)


class IngestTsDoor(Door, frozen=True):
    """MPEG-TS over TLS; a client certificate is required."""

    bind: _Binds = _on(8445)


class OriginDoor(Door, frozen=True):
    """HTTPS for a CDN or reverse proxy; its client certificate is required, and only what viewers
    read is answered."""


class Doors(_Table, frozen=True):
    """The doors. An address of a family that this machine does not have is left out with a
    warning."""

    public: Annotated[
        PublicDoor,
        Meta(description="HTTPS for everybody; asks for no certificate unless told to"),
    ] = field(default_factory=PublicDoor)
    secure: Annotated[SecureDoor, Meta(description="HTTPS; a client certificate is required")] = (
        field(default_factory=SecureDoor)
    )
    ingest_ts: Annotated[
        IngestTsDoor, Meta(description="MPEG-TS over TLS; a client certificate is required")
    ] = field(default_factory=IngestTsDoor)
    origin: Annotated[
        OriginDoor,
        Meta(
            description="HTTPS for a CDN or reverse proxy: a client certificate is required, only "
            "what viewers read is answered; shut unless it is given an address"
        ),
    ] = field(default_factory=OriginDoor)


class Media(_Table, frozen=True):
    """The UDP side."""

    bind: Annotated[
        list[Bind], Meta(min_length=1, description="UDP addresses for ICE, DTLS, SRTP")
    ] = field(default_factory=lambda: _both_families(8443))
    advertise: Annotated[
        list[str],
        Meta(description="addresses that candidates name instead of the machine's own (1:1 NAT)"),
    ] = field(default_factory=list)
    ice_servers: Annotated[
        list[IceServer], Meta(description="STUN servers to name to WHIP and WHEP clients")
    ] = field(default_factory=list)


class Policy(_Table, frozen=True):
    """The preset of each role."""

    ingest: Preset = "standard"
    delivery: Preset = "standard"
    origin: Preset = "standard"
    node: Preset = "standard"
    signalling: Preset = "standard"
    admin: Preset = "standard"


class StreamRule(_Table, frozen=True):
    """What holds for one stream beside the rules of `[[permissions]]`."""

    public: Annotated[
        bool, Meta(description="anybody may watch; the ledger shows such a viewer as unproved")
    ] = False
    publishers: Annotated[
        list[str],
        Meta(
            description="who alone may publish it, in the words of [[permissions]]: names, and "
            "token for publish tokens; empty: whom the permissions allow"
        ),
    ] = field(default_factory=list)


class IngestTs(_Table, frozen=True):
    """MPEG-TS over TLS."""

    streams: Annotated[
        dict[str, StreamName],
        Meta(
            description="the certificate's path (encoder/NAME), or spiffe://… in full for another "
            "trust domain, to the stream that it is for; an encoder/NAME that is not listed is for "
            "NAME"
        ),
    ] = field(default_factory=dict)


class Ingest(_Table, frozen=True):
    """Ways in."""

    ts: IngestTs = field(default_factory=IngestTs)


class Cors(_Table, frozen=True):
    """Which other origins' pages may call the WHIP and WHEP endpoints."""

    origins: Annotated[list[Origin], Meta(description="closed until an origin is named")] = field(
        default_factory=list
    )


class Identity(_Table, frozen=True):
    """The authority that names this node and whoever comes to it."""

    authority: Annotated[
        Place,
        Meta(
            description="folder of an authority (sealcast identity init); it issues the doors' "
            "certificates and enrols and renews others here; empty: the throw-away authority"
        ),
    ] = ""
    passphrase_file: Annotated[
        Place, Meta(description="file of mode 0600 with the passphrase of the authority's keys")
    ] = ""


class Acme(_Table, frozen=True):
    """A public authority that issues the certificate of each door with `certificate = "acme"`."""

    directory: Annotated[
        str,
        Meta(
            pattern=r"^(|https://\S+)$",
            description="must be the https address of an ACME directory (RFC 8555), as in "
            "https://acme-v02.api.letsencrypt.org/directory",
        ),
    ] = ""
    contact: Annotated[
        list[str], Meta(description="where the authority may write to, as in mailto:you@example")
    ] = field(default_factory=list)
    terms_agreed: Annotated[
        bool, Meta(description="you have read the authority's terms of service and agree")
    ] = False
    names: Annotated[
        list[str], Meta(description="host names to ask for; empty: the host names in node.names")
    ] = field(default_factory=list)
    challenge: Annotated[
        Literal["tls-alpn-01", "http-01"],
        Meta(
            description="how the names are proved: at the public door, which the authority calls "
            "at port 443, or at http_bind, which it calls at port 80"
        ),
    ] = "tls-alpn-01"
    http_bind: Annotated[
        list[Bind],
        Meta(description="where to answer http-01 over plain HTTP, and nothing else; empty: shut"),
    ] = field(default_factory=list)
    trust: Annotated[
        Place,
        Meta(description="PEM file of who vouches for the directory itself; empty: the usual"),
    ] = ""
    eab_kid: Annotated[
        str,
        Meta(
            description="key ID of an authority that binds accounts to its customers (ZeroSSL, "
            "Google): external account binding, RFC 8555 section 7.3.4"
        ),
    ] = ""
    eab_hmac_key_file: Annotated[
        Place,
        Meta(description="file of mode 0600 with the HMAC key of eab_kid, as the page shows it"),
    ] = ""


class Spiffe(_Table, frozen=True):
    """A SPIFFE Workload API that gives this node its identity and its trust bundle, to doors with
    `certificate = "spiffe"` or `client_ca = "spiffe"`."""

    socket: Annotated[
        str,
        Meta(
            pattern=r"^(|unix:///\S+)$",
            description="must be a Unix socket, as in unix:///run/spire/agent/public/api.sock",
        ),
    ] = ""


class Pull(_Table, frozen=True, rename={"from_": "from", "as_": "as"}):
    """A stream that this node takes from another one, for viewers of its own."""

    stream: Annotated[StreamName, Meta(description="its name at the other node")]
    from_: Annotated[
        str,
        Meta(
            pattern=r"^https://[^/?#@\s]+$",
            description="must be the other node's door secure, as in https://origin.example:8444",
        ),
    ]
    as_: Annotated[str, Meta(description="its name here; empty: the same as there")] = ""
    certificate: Annotated[
        Place,
        Meta(
            description="PEM file of the chain that this node shows, of the profile node, for "
            "clients; empty: the authority of [identity] issues one"
        ),
    ] = ""
    key: Annotated[Place, Meta(description="PEM file of that chain's private key, mode 0600")] = ""
    trust: Annotated[
        Place,
        Meta(
            description="PEM file of the authorities that prove the other node; empty: the "
            "authority of [identity]"
        ),
    ] = ""


class Config(_Table, frozen=True):
    """The whole of `sealcast.toml`. Every key has a default: an empty file is a valid one.

    A path that is not absolute is relative to the folder of the file; ~ is the home folder.
    """

    node: Node = field(default_factory=Node)
    identity: Identity = field(default_factory=Identity)
    acme: Acme = field(default_factory=Acme)
    spiffe: Spiffe = field(default_factory=Spiffe)
    doors: Doors = field(default_factory=Doors)
    media: Media = field(default_factory=Media)
    policy: Policy = field(default_factory=Policy)
    permissions: Annotated[
        list[Rule],
        Meta(description="who may do what; the file's own rules stand in place of the usual ones"),
    ] = field(default_factory=usual_rules)
    streams: dict[StreamName, StreamRule] = field(default_factory=dict)
    ingest: Ingest = field(default_factory=Ingest)
    pull: Annotated[
        list[Pull], Meta(description="streams that this node takes from other nodes")
    ] = field(default_factory=list)
    cors: Cors = field(default_factory=Cors)

    def state_dir(self) -> Path:
        """The state folder: as configured, else by the XDG base directory specification."""
        if self.node.state_dir:
            return Path(self.node.state_dir).expanduser()
        state_home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(state_home).expanduser() / "sealcast"


class ConfigurationRefused(LocalError):  # noqa: N818 - named for what happened
    """The file cannot be used. `detail` has one line per complaint, `complaints` the same apart."""

    def __init__(self, code: str, detail: str, complaints: Sequence[Complaint] = ()) -> None:
        super().__init__(code, detail)
        self.complaints = tuple(complaints)

    def __str__(self) -> str:
        # Each line names its key and its remedy: the table's sentence would only repeat the first.
        return f"{self.code}: {self.detail}"


def load(path: Path) -> Config:
    """The configuration in a file. Its paths are absolute: those that were relative began at the
    folder of the file.

    Raises `ConfigurationRefused` with every complaint when the file cannot be read or used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationRefused(
            "CONFIG.UNREADABLE",
            f"{path} does not exist. `sealcast config` prints a whole one to begin with.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationRefused(
            "CONFIG.UNREADABLE",
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. It is UTF-8, and "
            "whoever runs this must be able to read it.",
        ) from error
    return anchored(loads(text, name=str(path)), path.absolute().parent)


def loads(text: str, *, name: str = "sealcast.toml") -> Config:
    """The configuration in a text; `name` is how errors call it. Its paths stay as they are."""
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise ConfigurationRefused("CONFIG.SYNTAX", f"{name}: It is nested too deep.") from None
    except ValueError as error:
        # TOMLDecodeError; or Python's own limit on the digits of a number, which tomllib passes on.
        raise ConfigurationRefused("CONFIG.SYNTAX", f"{name}: {error}") from None
    complaints = list(judge(document, Config, (), text))
    if not complaints:
        config = msgspec.convert(document, Config)
        complaints = list(judge_meaning(config, text))
        if not complaints:
            return config
    complaints.sort(key=lambda complaint: complaint.line or 0)
    detail = "\n".join(f"{name}: {complaint}" for complaint in complaints)
    raise ConfigurationRefused(complaints[0].code, detail, complaints)


def dumps(config: Config) -> str:
    """The effective configuration as TOML; `loads` of it gives the same configuration."""
    import tomlkit  # only `sealcast config` writes TOML

    return tomlkit.dumps(msgspec.to_builtins(config))


def schema() -> dict[str, Any]:
    """The JSON schema of the configuration."""
    return msgspec.json.schema(Config)

"""What `--help` shows beneath the options: each command as people type it.

Does: has examples of every command, by its words. A test reads each of them as the command line
that it is.

Does not: describe options; they say themselves what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "serve": ("sealcast serve", "sealcast serve --config sealcast.toml"),
        "demo": ("sealcast demo",),
        "publish": (
            "sealcast publish tls://stream.example --identity venue-1/venue-1 -- \\\n"
            "    -re -i in.mp4 -c:v libx264 -bf 0 -g 60 -c:a aac",
            "encoder --to-stdout | sealcast publish tls://stream.example \\\n"
            "    --identity venue-1/venue-1 --agent -",
        ),
        "watch": (
            "sealcast watch https://stream.example:8443/watch/venue/stage-1 \\\n"
            "    --token TOKEN --save out.mkv --for 5m",
        ),
        "legs": (
            "sealcast legs",
            "sealcast legs --url https://stream.example:8444 \\\n"
            "    --cert admin/ada.pem --key admin/ada-key.pem --ca admin/authority.pem",
        ),
        "doors": (
            "sealcast doors --config sealcast.toml",
            "sealcast doors --running --config sealcast.toml --json",
        ),
        "config": ("sealcast config --config sealcast.toml", "sealcast config --schema"),
        "agent": (
            "sealcast agent --identity venue-1/venue-1",
            "sealcast agent --identity venue-1/venue-1 --once \\\n"
            "    --node https://stream.example:8444",
        ),
        "token": ("sealcast token publish venue/stage-1 --for 15m",),
        "token publish": ("sealcast token publish venue/stage-1 --for 15m --subject camera-1",),
        "token watch": ("sealcast token watch venue/stage-1 --for 1h",),
        "token admin": ("sealcast token admin --for 15m --config sealcast.toml",),
        "admin": ("sealcast admin add ada",),
        "admin add": (
            "sealcast admin add ada",
            "sealcast admin add ada --password-file password --config sealcast.toml",
        ),
        "admin list": ("sealcast admin list --json",),
        "admin reset": ("sealcast admin reset ada",),
        "admin remove": ("sealcast admin remove ada",),
        "identity": (
            "sealcast identity init --data authority --trust-domain venue.example \\\n"
            "    --passphrase-file passphrase",
            "sealcast identity issue encoder/venue-1 --data authority \\\n"
            "    --passphrase-file passphrase --out venue-1",
        ),
        "identity init": (
            "sealcast identity init --data authority --trust-domain venue.example \\\n"
            "    --passphrase-file passphrase --host node.venue.example",
        ),
        "identity issue": (
            "sealcast identity issue encoder/venue-1 --data authority \\\n"
            "    --passphrase-file passphrase --out venue-1",
            "sealcast identity issue node/edge-1 --as server --out edge-1 \\\n"
            "    --host edge-1.venue.example \\\n"
            "    --data authority --passphrase-file passphrase",
        ),
        "identity sign": (
            "sealcast identity sign venue-1.csr encoder/venue-1 --data authority \\\n"
            "    --passphrase-file passphrase --out venue-1",
        ),
        "identity request": (
            "sealcast identity request encoder/venue-1 --out venue-1 --new p256 \\\n"
            "    --key-uri 'pkcs11:token=encoder;object=venue-1?pin-source=file:pin'",
        ),
        "identity token": (
            "sealcast identity token encoder/venue-1 --data authority",
            "sealcast identity token encoder/venue-1 --data authority \\\n"
            "    --node https://stream.example:8443 --qr",
        ),
        "identity explain": (
            "sealcast identity explain venue-1/venue-1.pem --config sealcast.toml \\\n"
            "    --verb publish --stream venue/stage-1",
        ),
        "identity enroll": (
            "sealcast identity enroll encoder/venue-1 --out venue-1 --token=- \\\n"
            "    --node https://stream.example:8443 \\\n"
            "    --authority-fingerprint AB:CD:… < token",
        ),
        "identity list": (
            "sealcast identity list --data authority",
            "sealcast identity list --data authority --name 'encoder/venue-*' \\\n"
            "    --state due --state expired",
        ),
        "identity show": ("sealcast identity show encoder/venue-1 --data authority",),
        "identity revoke": (
            "sealcast identity revoke encoder/venue-1 --data authority \\\n"
            "    --reason keyCompromise",
        ),
        "identity crl": ("sealcast identity crl --data authority --out lists.pem",),
        "identity roll": (
            "sealcast identity roll --data authority --overlap 7d --dry-run",
            "sealcast identity roll --data authority --passphrase-file passphrase \\\n"
            "    --overlap 7d --root-key stick/root-key.pem",
        ),
        "identity due": (
            "sealcast identity due --data authority --within 14d",
            "sealcast identity due --config sealcast.toml --running",
            "sealcast identity due --data authority --bundle cdn-ca.pem --json",
        ),
        "identity backup": ("sealcast identity backup --data authority --out nightly.tar",),
        "identity restore": (
            "sealcast identity restore nightly.tar --data authority --crl lists.pem \\\n"
            "    --old-one-is-gone",
        ),
    }
)


def examples(words: Sequence[str]) -> str | None:
    """The end of that command's help; None where there is none."""
    lines = EXAMPLES.get(" ".join(words))
    if lines is None:
        return None
    heading = "Example:" if len(lines) == 1 else "Examples:"
    indented = ("    " + line.replace("\n", "\n    ") for line in lines)
    return "\n".join([heading, "", *indented])

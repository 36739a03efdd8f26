"""Where a key is in a token: the `pkcs11:` URI.

Does: reads one, strictly; writes it back the same way, with everything that was not ASCII or had a
meaning escaped.

Does not: open anything (`sealcast.identity.pkcs11`). Takes no PIN: one that stands in a URI stands
in the process table, the shell's history and this program's store as well.

The caller must still: know who wrote the URI. It names a library that is loaded into this process.

Specs: RFC 7512 §2.3 (syntax), §2.4 (query attributes), §6 (security).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from sealcast.errors import LocalError

SCHEME: Final = "pkcs11:"
LONGEST: Final = 2048
_PATH: Final = ("token", "manufacturer", "serial", "model", "object", "id", "type")
_QUERY: Final = ("module-path", "pin-source")
# Unreserved of RFC 3986 §2.3, and what RFC 7512 §2.3 lets stand in a path value or a query value.
_IN_PATH: Final = ":[]@!$'()*+,=&"
_IN_QUERY: Final = ":[]@!$'()*+,=/?|"
_ESCAPES: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class KeyUri:
    """A token's key, or (without `object` and `id`) a token alone.

    `pin_source` is the file that holds the PIN; the URI has no PIN itself.
    """

    module_path: str
    pin_source: Path | None = None
    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None

    @property
    def names_a_key(self) -> bool:
        return self.object is not None or self.id is not None

    def __str__(self) -> str:
        """The URI; `parse` of it is this again."""
        path = [
            f"{name}={quote(value, safe=_IN_PATH)}"
            for name, value in (
                ("token", self.token),
                ("manufacturer", self.manufacturer),
                ("serial", self.serial),
                ("model", self.model),
                ("object", self.object),
            )
            if value is not None
        ]
        if self.id is not None:
            # RFC 7512 §2.3: the whole of it escaped, since it is octets and no text.
            path.append("id=" + "".join(f"%{octet:02X}" for octet in self.id))
        query = [f"module-path={quote(self.module_path, safe=_IN_QUERY)}"]
        if self.pin_source is not None:
            query.append(f"pin-source=file:{quote(str(self.pin_source), safe=_IN_QUERY)}")
        return f"{SCHEME}{';'.join(path)}?{'&'.join(query)}"


def is_key_uri(text: str) -> bool:
    """Whether `text` means a token's key rather than a file."""
    # RFC 3986 §3.1: the scheme's case does not count.
    return text[: len(SCHEME)].lower() == SCHEME


def parse(text: str) -> KeyUri:
    """The URI in `text`; HSM.BAD_URI. No part of `text` is told back: it may hold a PIN."""
    if not is_key_uri(text) or len(text) > LONGEST:
        raise _bad(f"It begins with {SCHEME} and has at most {LONGEST} characters.")
    if not text.isascii() or not text.isprintable() or " " in text or _ESCAPES.search(text):
        raise _bad("Everything that is not printable ASCII is escaped as %41.")
    path, _, query = text[len(SCHEME) :].partition("?")
    found = _attributes(path, ";", _PATH) | _attributes(query, "&", _QUERY)
    if found.pop("type", b"private") != b"private":
        raise _bad("Its type is private, since it is to sign.")
    module_path = _text("module-path", found.pop("module-path", b""))
    if not module_path.startswith("/"):
        raise _bad("module-path is the absolute path of the token's PKCS#11 library.")
    pin_source = found.pop("pin-source", None)
    ident = found.pop("id", None)
    if ident == b"":
        raise _bad("id is empty.")
    names = {name: _text(name, value) for name, value in found.items()}
    if not {"token", "serial"} & names.keys():
        raise _bad("It names its token by token= or serial=.")
    return KeyUri(
        module_path=module_path,
        pin_source=None if pin_source is None else _pin_file(_text("pin-source", pin_source)),
        token=names.get("token"),
        manufacturer=names.get("manufacturer"),
        serial=names.get("serial"),
        model=names.get("model"),
        object=names.get("object"),
        id=ident,
    )


def _attributes(part: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for attribute in part.split(separator) if part else ():
        name, equals, value = attribute.partition("=")
        if name == "pin-value":
            raise _bad("A PIN in it can be read by others; put it into a file: pin-source=file:…")
        if name not in known:
            # One that is not understood might have chosen another token or key.
            raise _bad(f"An attribute is not known here; known are {', '.join((*_PATH, *_QUERY))}.")
        if not equals or name in found:
            raise _bad(f"{name} stands in it once, with a value.")
        found[name] = unquote_to_bytes(value)
    return found


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _bad(f"{name} is not UTF-8.") from None
    if not text or not text.isprintable():
        raise _bad(f"{name} is empty or has characters that are not text.")
    return text


def _pin_file(source: str) -> Path:
    """RFC 7512 §2.4: a file: URI, or a path. A command (`|…`) is not run."""
    path = source.removeprefix("file:").removeprefix("//")
    if not path.startswith("/"):
        raise _bad("pin-source is file: and the absolute path of a file with the PIN.")
    return Path(path)


def _bad(detail: str) -> LocalError:
    return LocalError("HSM.BAD_URI", detail)

"""Secrets as a type.

Does: keeps bytes that must not be seen: no repr, no hash, no pickling, equality in constant time,
wiped when dropped. Redacts secrets from log events.

Does not: protect against someone who reads this process's memory; CPython may have copied what was
handed in.

The caller must still: hand the bytes over early and keep no copy.
"""

import hmac
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, NoReturn

HIDDEN: Final = "<secret>"

# Names under which a value is a secret whatever its type. Compared in lower case, as whole names.
SECRET_NAMES: Final = frozenset(
    {
        "authorization",
        "cookie",
        "ice_pwd",
        "key_pem",
        "local_pwd",
        "master_key",
        "master_salt",
        "passphrase",
        "password",
        "private_key",
        "pwd",
        "remote_pwd",
        "secret",
        "token",
        "x-sealcast-secret",
    }
)


class Secret:
    """Bytes that no log, repr or traceback shows."""

    __slots__ = ("_bytes", "_is_wiped")

    def __init__(self, value: bytes | bytearray | memoryview | str) -> None:
        self._is_wiped = False
        # Through a view: a number would become that many zeros, and those a key.
        self._bytes = bytearray(value.encode() if isinstance(value, str) else memoryview(value))

    def reveal(self) -> bytes:
        """The bytes themselves. Every call is a place where a secret leaves; keep them few.

        Raises ValueError once it was wiped.
        """
        return bytes(self._unwiped())

    def lend(self) -> memoryview:
        """The bytes where they lie, for native code that copies them into wiped memory.

        Unlike `reveal` it leaves no copy behind. A view that is still held when the secret is wiped
        sees zeros. Raises ValueError once it was wiped.
        """
        return memoryview(self._unwiped()).toreadonly()

    def wipe(self) -> None:
        """Overwrite the bytes with zeros; the secret is empty afterwards and good for nothing."""
        self._is_wiped = True
        for index in range(len(self._bytes)):
            self._bytes[index] = 0
        # Another array and not a shorter one: one that is lent cannot change its length.
        self._bytes = bytearray()

    def _unwiped(self) -> bytearray:
        # Zeros, or nothing at all, must not be taken for a key.
        if self._is_wiped:
            raise ValueError("the secret was wiped")
        return self._bytes

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes, other._bytes)

    # A hash would tell secrets apart in a dictionary's timing.
    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._bytes)

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not serialised")

    def __del__(self) -> None:
        # A constructor that failed has left no bytes.
        if hasattr(self, "_bytes"):
            self.wipe()


def _cleaned(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, Secret) or name.lower() in SECRET_NAMES:
        return HIDDEN
    if depth > 0 and isinstance(value, Mapping):
        return {key: _cleaned(str(key), inner, depth - 1) for key, inner in value.items()}
    if depth > 0 and isinstance(value, list | tuple):
        return [_cleaned(name, inner, depth - 1) for inner in value]
    return value


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: put it before the renderer.

    Values that are secrets, or named as such, are hidden.
    """
    return {key: _cleaned(key, value, 4) for key, value in event.items()}

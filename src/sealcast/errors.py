"""Errors that say whose fault they are and whether it is over.

Does: carries a code of `sealcast.codes` and the detail of this one occurrence. `LocalError` is the
caller's or the operator's mistake, `RemoteError` the peer's, `Bug` ours. Whatever surfaces as an
exception is fatal to what was being done; what can be survived is dropped, named and counted
instead.

Does not: hold secrets, tracebacks or the bytes that caused it.

The classes under `SrtpError` are raised by the native side, one class for each code.
"""

from collections.abc import Mapping
from typing import Final, Self

from sealcast.codes import Code, lookup, problem


class SealcastError(Exception):
    """What every error of this package is.

    `code` is a row of the table, `detail` says why we think so, this time.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def row(self) -> Code:
        """The table's row: stage, sentence, remedy, HTTP status."""
        return lookup(self.code)

    @property
    def http_status(self) -> int:
        """What a request that met this error is answered."""
        return self.row.http_status

    def problem(self, instance: str | None = None) -> dict[str, str | int]:
        """The problem document (RFC 9457) for an HTTP answer."""
        return problem(self.code, self.detail, instance)

    def __str__(self) -> str:
        row = self.row
        detail = self.detail
        # The words of an engine or a parser often end without a stop.
        if detail and detail[-1] not in ".!?":
            detail += "."
        return " ".join(
            part for part in (f"{self.code}:", row.sentence, detail, row.remedy) if part
        )


class LocalError(SealcastError):
    """This side asked for something that cannot be: a wrong configuration, a wrong call."""


class RemoteError(SealcastError):
    """The peer sent something that cannot be used, or asked for something that it may not have."""


class Bug(SealcastError):
    """This node broke a promise of its own. Worth a report, never worth hiding."""


class SrtpError(SealcastError):
    """What an SRTP context refused: a packet, a key or a call. The context is as it was.

    Each subclass is one code. Those that are neither `LocalError` nor `RemoteError` come from
    either side: what is malformed was made by the peer if it was to be opened, and by the caller
    if it was to be protected.
    """

    code = ""

    # Not through `super().__init__`: one is made for each bad packet, so making it is cheap.
    def __init__(self, detail: str = "") -> None:
        self.detail = detail

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.detail,)


class MalformedPacket(SrtpError):
    """The packet is not RTP or RTCP, or its lengths do not fit (RFC 3550 §5.1, §6.4)."""

    code = "SRTP.MALFORMED"


class ReplayedPacket(SrtpError, RemoteError):
    """A packet with this index was received before (RFC 3711 §3.3.2)."""

    code = "SRTP.REPLAYED"


class PacketTooOld(SrtpError, RemoteError):
    """The packet is older than the replay window, so that a replay could not be told."""

    code = "SRTP.REPLAY_OLD"


class AuthenticationFailed(SrtpError, RemoteError):
    """The authentication tag does not fit: forged, damaged, or made with another key."""

    code = "SRTP.AUTH_FAILED"


class TooManySources(SrtpError):
    """The context holds as many SSRCs as it may."""

    code = "SRTP.TOO_MANY_SSRCS"


class SourceNotDeclared(SrtpError):
    """The context was made for a set of SSRCs, and this one is not in it."""

    code = "SRTP.SSRC_NOT_DECLARED"


class KeyExpired(SrtpError, LocalError):
    """The master key protected as many packets as it may (RFC 3711 §9.2)."""

    code = "SRTP.KEY_EXHAUSTED"


class SourceExhausted(SrtpError):
    """The SSRC has used its last index (RFC 3711 §9.2), which a new key does not change."""

    code = "SRTP.SSRC_EXHAUSTED"


class PacketIndexUsed(SrtpError, LocalError):
    """The sender protected this sequence number before, or cannot rule it out."""

    code = "SRTP.INDEX_USED"


class BufferTooSmall(SrtpError, LocalError):
    """The buffer has no room for what protection adds."""

    code = "SRTP.BUFFER_TOO_SMALL"


class UnknownKeyIdentifier(SrtpError, RemoteError):
    """The packet names a master key that the context does not hold (RFC 3711 §8.1)."""

    code = "SRTP.UNKNOWN_MKI"


class UnencryptedControlPacket(SrtpError, RemoteError):
    """The SRTCP packet is not encrypted (E = 0), and the context takes none."""

    code = "SRTP.UNENCRYPTED_RTCP"


class HeaderNotProtected(SrtpError):
    """The header is not, or cannot be, encrypted as agreed (RFC 6904, RFC 9335)."""

    code = "SRTP.HEADER_NOT_PROTECTED"


class CipherFailed(SrtpError, Bug):
    """The cipher could not be run; BoringSSL says so only when memory is gone."""

    code = "SRTP.ENGINE_FAILED"


class ContextClosed(SrtpError, LocalError):
    """The context was closed and its keys are wiped."""

    code = "SRTP.CONTEXT_CLOSED"


class ContextForked(SrtpError, LocalError):
    """The context was made before this process was forked; its parent goes on with it."""

    code = "SRTP.CONTEXT_FORKED"


class BadKey(SrtpError, LocalError):
    """A key, salt or identifier does not have the length that it must have, or is not there."""

    code = "SRTP.BAD_KEY"


class KeyInUse(SrtpError, LocalError):
    """A living sender of this process has the same master key and salt (RFC 3711 §9.1)."""

    code = "SRTP.KEY_IN_USE"


class KeyUsedBefore(SrtpError, LocalError):
    """A sender of this process, now gone, protected with this key and salt (RFC 3711 §9.1)."""

    code = "SRTP.KEY_USED_BEFORE"


class NullCipherRefused(SrtpError, LocalError):
    """The profile does not encrypt, and nobody asked for that by name."""

    code = "SRTP.NULL_CIPHER"


class BadOption(SrtpError, LocalError):
    """An option of an SRTP context has a value that it cannot have."""

    code = "SRTP.BAD_OPTION"


class SourceStarted(SrtpError, LocalError):
    """A packet of this SSRC has settled its rollover counter, so it can no longer be set."""

    code = "SRTP.ROC_TOO_LATE"


class UnknownProfile(SrtpError, LocalError):
    """No SRTP profile has this name."""

    code = "SRTP.UNKNOWN_PROFILE"


# By code, for the native side; complete by a test.
SRTP_ERRORS: Final[Mapping[str, type[SrtpError]]] = {
    one.code: one
    for one in (
        MalformedPacket,
        ReplayedPacket,
        PacketTooOld,
        AuthenticationFailed,
        TooManySources,
        SourceNotDeclared,
        KeyExpired,
        SourceExhausted,
        PacketIndexUsed,
        BufferTooSmall,
        UnknownKeyIdentifier,
        UnencryptedControlPacket,
        HeaderNotProtected,
        CipherFailed,
        ContextClosed,
        ContextForked,
        BadKey,
        KeyInUse,
        KeyUsedBefore,
        NullCipherRefused,
        BadOption,
        SourceStarted,
        UnknownProfile,
    )
}

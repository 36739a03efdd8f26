"""SRTP and SRTCP for any Python program: packets in, packets out; no server, no event loop.

Does: `SrtpSender` protects the RTP and RTCP packets that one side sends under a master key,
`SrtpReceiver` opens what the other side sent (RFC 3711, 6188, 7714). Every call has four forms:

| form | in | out |
|---|---|---|
| `protect(packet)` | any bytes-like object | a new `bytes` |
| `protect_into(packet, target)` | the same | the length of the result in your writable buffer |
| `protect_many(packets)` | an iterable of them | a list of `bytes` and exceptions, in order |
| `protect_arena(arena, …)` | one writable buffer cut into slots | the same, in place |

and each has a twin for RTCP whose name ends in `_rtcp`. The functions `protect_many` and
`protect_arena` of this module take packets of many contexts in one call.

In an arena, slot `i` is `arena[offsets[i]:offsets[i + 1]]` and its packet the first `lengths[i]`
bytes of it; `offsets` and `lengths` are arrays of 64-bit integers (`array("q")`, NumPy `int64`),
`outcomes` is an array of bytes. The packet is worked on where it lies: leave `rtp_overhead` (or
`rtcp_overhead`) bytes of room behind it. Afterwards `lengths[i]` is the new length and
`outcomes[i]` is 0, or `lengths[i]` is 0 and `OUTCOMES[outcomes[i]]` is the class of the error.

Does not: agree on keys (see `sealcast.dtls`), send, receive, reorder or retransmit. A sequence
number is protected once: a retransmission is sent as RTX (RFC 4588) with its own SSRC.

Errors are subclasses of `sealcast.errors.SrtpError`, one for each code. An error leaves the
context as it was but for its counts, and the target or slot with unspecified content, but never
with a plaintext that was not authenticated. In batches errors are listed, not raised. A
`MalformedPacket` names the offset and the field; in an arena there is no place for that, but the
slot of a malformed packet is as it was: hand it to `protect` or `unprotect` to hear why.

A packet of the wrong protocol is malformed where its second byte leaves no doubt: to protect, RTCP
has a packet type from 192 to 223 (RFC 5761 §4), and RTP none of 200 to 204 (RFC 3551 §6 keeps those
payload types free). To open, the two have different keys.

Threads: calls on one context from several threads take turns; whoever waits has let go of the
GIL. `*_many` and `*_arena` work without the GIL from eight packets on; fewer are worked on with it,
as one is. The order in which threads get their turn is theirs to arrange: it decides the order of
packets, not their safety. Nobody else may touch an arena while a batch works on it; its packets
would be unspecified.

Processes: a context works in the process that made it. In a child of `os.fork` (and so of
`multiprocessing`) it refuses with `ContextForked`: two senders would use the same packet indices,
and a receiver may have been in the middle of a packet when the process was copied.

Keys are wiped by `close` and with the last reference: no copy of a master or session key stays on
the heap. What a compiler or BoringSSL leaves on the stack while keys are derived is not promised.

The caller must still: use one sender for a master key's whole life. A second one with the same key
and salt would start again at index 0 and repeat the keystream (RFC 3711 §9.1), so it is refused:
`KeyInUse` while the first one lives, `KeyUsedBefore` after it protected a packet and is gone. Of
the latter a process knows the newest 65,536; other processes and earlier runs it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from sealcast import _core
from sealcast._core import (
    KeyNearlySpent,
    KeySpent,
    SrtpReceiver,
    SrtpSender,
    SrtpStream,
    SrtpTotals,
)
from sealcast.errors import SRTP_ERRORS, SrtpError, UnknownProfile

if TYPE_CHECKING:
    from typing_extensions import Buffer

    class Array(Protocol):
        """An array of NumPy, whose types admit to be buffers only from Python 3.12 on."""

        @property
        def __array_interface__(self) -> Any: ...

    BytesLike = Buffer | Array

__all__ = [
    "OUTCOMES",
    "KeyNearlySpent",
    "KeySpent",
    "SrtpProfile",
    "SrtpReceiver",
    "SrtpSender",
    "SrtpStream",
    "SrtpTotals",
    "protect_arena",
    "protect_arena_rtcp",
    "protect_many",
    "protect_many_rtcp",
    "unprotect_arena",
    "unprotect_arena_rtcp",
    "unprotect_many",
    "unprotect_many_rtcp",
]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table of profiles; lengths are in bytes."""

    dtls_id: int | None
    sdes_name: str | None
    key_len: int
    salt_len: int
    rtp_overhead: int
    rtcp_overhead: int


class SrtpProfile(StrEnum):
    """What encrypts and authenticates, and with what lengths.

    `AEAD_*` (RFC 7714) are the ones to choose. `*_SHA1_32` cut the tag of SRTP to 32 bits, which
    a forger guesses once in 2^32 packets. `NULL_*` do not encrypt: a context takes them only when
    told `null_cipher=True`.
    """

    AES128_CM_SHA1_80 = "AES128_CM_SHA1_80"
    AES128_CM_SHA1_32 = "AES128_CM_SHA1_32"
    NULL_SHA1_80 = "NULL_SHA1_80"
    NULL_SHA1_32 = "NULL_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AES_192_CM_SHA1_80 = "AES_192_CM_SHA1_80"
    AES_192_CM_SHA1_32 = "AES_192_CM_SHA1_32"
    AES_256_CM_SHA1_80 = "AES_256_CM_SHA1_80"
    AES_256_CM_SHA1_32 = "AES_256_CM_SHA1_32"

    @classmethod
    def _missing_(cls, value: object) -> SrtpProfile:
        raise UnknownProfile(f"{value!r} is none of {', '.join(cls)}.")

    @property
    def dtls_id(self) -> int | None:
        """The number in the DTLS-SRTP registry (RFC 5764 §4.1.2, RFC 7714 §14.2), if any."""
        return _TABLE[self].dtls_id

    @property
    def sdes_name(self) -> str | None:
        """The crypto-suite of an `a=crypto` line (RFC 4568 §6.2, RFC 6188 §5), if any."""
        return _TABLE[self].sdes_name

    @property
    def key_len(self) -> int:
        """Length of the master key, in bytes."""
        return _TABLE[self].key_len

    @property
    def salt_len(self) -> int:
        """Length of the master salt, in bytes."""
        return _TABLE[self].salt_len

    @property
    def rtp_overhead(self) -> int:
        """Bytes that protection adds to an RTP packet, without a master key identifier."""
        return _TABLE[self].rtp_overhead

    @property
    def rtcp_overhead(self) -> int:
        """Bytes that protection adds to an RTCP packet, without a master key identifier."""
        return _TABLE[self].rtcp_overhead


# The same table as `crates/srtp/src/profile.rs`; `tests/unit/test_srtp_profile.py` compares them.
_TABLE: Final[Mapping[SrtpProfile, _Row]] = MappingProxyType(
    {
        SrtpProfile.AES128_CM_SHA1_80: _Row(1, "AES_CM_128_HMAC_SHA1_80", 16, 14, 10, 14),
        SrtpProfile.AES128_CM_SHA1_32: _Row(2, "AES_CM_128_HMAC_SHA1_32", 16, 14, 4, 14),
        SrtpProfile.NULL_SHA1_80: _Row(5, None, 16, 14, 10, 14),
        SrtpProfile.NULL_SHA1_32: _Row(6, None, 16, 14, 4, 14),
        SrtpProfile.AEAD_AES_128_GCM: _Row(7, "AEAD_AES_128_GCM", 16, 12, 16, 20),
        SrtpProfile.AEAD_AES_256_GCM: _Row(8, "AEAD_AES_256_GCM", 32, 12, 16, 20),
        SrtpProfile.AES_192_CM_SHA1_80: _Row(None, "AES_192_CM_HMAC_SHA1_80", 24, 14, 10, 14),
        SrtpProfile.AES_192_CM_SHA1_32: _Row(None, "AES_192_CM_HMAC_SHA1_32", 24, 14, 4, 14),
        SrtpProfile.AES_256_CM_SHA1_80: _Row(None, "AES_256_CM_HMAC_SHA1_80", 32, 14, 10, 14),
        SrtpProfile.AES_256_CM_SHA1_32: _Row(None, "AES_256_CM_HMAC_SHA1_32", 32, 14, 4, 14),
    }
)

# What the numbers in `outcomes` mean; 0 is success.
OUTCOMES: Final[Sequence[type[SrtpError] | None]] = tuple(
    SRTP_ERRORS[code] if code else None for code in _core.srtp_outcomes()
)


def protect_many(pairs: Iterable[tuple[SrtpSender, BytesLike]]) -> list[bytes | SrtpError]:
    """Protect RTP packets of many senders in one call, in the given order."""
    return _core.srtp_protect_pairs(pairs, rtcp=False)


def protect_many_rtcp(pairs: Iterable[tuple[SrtpSender, BytesLike]]) -> list[bytes | SrtpError]:
    """Protect RTCP packets of many senders in one call, in the given order."""
    return _core.srtp_protect_pairs(pairs, rtcp=True)


def unprotect_many(pairs: Iterable[tuple[SrtpReceiver, BytesLike]]) -> list[bytes | SrtpError]:
    """Open SRTP packets of many receivers in one call, in the given order."""
    return _core.srtp_unprotect_pairs(pairs, rtcp=False)


def unprotect_many_rtcp(pairs: Iterable[tuple[SrtpReceiver, BytesLike]]) -> list[bytes | SrtpError]:
    """Open SRTCP packets of many receivers in one call, in the given order."""
    return _core.srtp_unprotect_pairs(pairs, rtcp=True)


def protect_arena(
    senders: Sequence[SrtpSender],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
) -> int:
    """Protect the RTP packets of an arena, slot `i` with `senders[which[i]]`.

    `which` is an array of 64-bit integers. Returns how many packets went through.
    """
    return _core.srtp_protect_arena(senders, which, arena, offsets, lengths, outcomes, rtcp=False)


def protect_arena_rtcp(
    senders: Sequence[SrtpSender],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
) -> int:
    """Protect the RTCP packets of an arena, slot `i` with `senders[which[i]]`."""
    return _core.srtp_protect_arena(senders, which, arena, offsets, lengths, outcomes, rtcp=True)


def unprotect_arena(
    receivers: Sequence[SrtpReceiver],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
) -> int:
    """Open the SRTP packets of an arena, slot `i` with `receivers[which[i]]`.

    `which` is an array of 64-bit integers. Returns how many packets went through.
    """
    return _core.srtp_unprotect_arena(
        receivers, which, arena, offsets, lengths, outcomes, rtcp=False
    )


def unprotect_arena_rtcp(
    receivers: Sequence[SrtpReceiver],
    which: BytesLike,
    arena: BytesLike,
    offsets: BytesLike,
    lengths: BytesLike,
    outcomes: BytesLike,
) -> int:
    """Open the SRTCP packets of an arena, slot `i` with `receivers[which[i]]`."""
    return _core.srtp_unprotect_arena(
        receivers, which, arena, offsets, lengths, outcomes, rtcp=True
    )

"""What a closed context leaves in the memory of its process: no key on the heap.

A child gets its keys through a pipe into memory that it zeroes itself, uses and closes contexts,
and waits. Its parent, who knows the keys, reads the child's writable memory. The stack is left
out: there a compiler puts copies that no program can find again.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.srtp_packets import fresh

from sealcast import SrtpProfile
from sealcast._core import srtp_known_session_keys

PACKETS = 40

# What is searched for: the start of a key is as bad to find as all of it.
PART_LEN = 16

CHILD = """
import os, sys
from sealcast import Secret, SrtpProfile, SrtpReceiver, SrtpSender

profile, rate, close = SrtpProfile(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "close"
read = bytearray(profile.key_len), bytearray(profile.salt_len)
assert os.readv(0, read) == profile.key_len + profile.salt_len
key, salt = map(Secret, read)
for one in read:
    one[:] = bytes(len(one))
options = {
    "key_derivation_rate": rate,
    "null_cipher": profile.startswith("NULL_"),
    "encrypted_extensions": [1] if sys.argv[5] else None,
    "mki": b"1",
}
sender = SrtpSender(profile, key, salt, **options)
receiver = SrtpReceiver(profile, key, salt, **options)
key.wipe()
salt.wipe()
for number in range(int(sys.argv[4])):
    start = b"\\x90\\x60" + number.to_bytes(2, "big") + bytes(4) + b"ssrc"
    rtp = start + b"\\xbe\\xde\\0\\1\\x12abc" + b"sound"
    rtcp = b"\\x80\\xc9\\0\\1ssrcreport.."
    assert receiver.unprotect(sender.protect(rtp)) == rtp
    assert receiver.unprotect_rtcp(sender.protect_rtcp(rtcp)) == rtcp
if close:
    sender.close()
    receiver.close()
else:
    del sender, receiver
os.write(1, b"closed")
os.read(0, 1)
"""


def writable(process: int) -> Iterator[tuple[str, bytes]]:
    """Every writable mapping of the process but its stack, with its name."""
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            extent, mode, _, _, _, name = [*line.split(maxsplit=5), "anonymous"][:6]
            if "w" not in mode or name == "[stack]":
                continue
            start, end = (int(place, 16) for place in extent.split("-"))
            memory.seek(start)
            yield name, memory.read(end - start)


def secrets(profile: SrtpProfile, key: bytes, salt: bytes, rate: int) -> dict[str, bytes]:
    """The master key and every session key of the packets that the child protects."""
    found = {"master": key}
    for purpose in ("rtp", "rtcp", "rtp_header"):
        for period in range(1 + (PACKETS // rate if rate else 0)):
            keys = srtp_known_session_keys(profile, key, salt, purpose, period)
            for kind, session_key in zip(("cipher", "tag"), keys, strict=False):
                if session_key:
                    found[f"{purpose} {kind} {period}"] = session_key
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read through /proc")
@pytest.mark.parametrize(
    ("rate", "end", "elements"), [(0, "close", ""), (1, "close", ""), (1, "del", "elements")]
)
@pytest.mark.parametrize("profile", SrtpProfile)
def test_no_key_is_left_on_the_heap(
    profile: SrtpProfile, rate: int, end: str, elements: str
) -> None:
    key, salt = fresh(profile)
    command = [sys.executable, "-c", CHILD, profile, str(rate), end, str(PACKETS), elements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        os.write(child.stdin.fileno(), key + salt)
        assert child.stdout.read(6) == b"closed"
        memory = list(writable(child.pid))
        child.stdin.close()
    assert child.returncode == 0
    left = {
        (what, name): held.count(secret[:PART_LEN])
        for what, secret in secrets(profile, key, salt, rate).items()
        for name, held in memory
        if secret[:PART_LEN] in held
    }
    assert not left

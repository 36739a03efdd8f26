"""Protect a stream of RTP packets and open it again at the other end."""

import os
import struct

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender

profile = SrtpProfile.AEAD_AES_128_GCM
# Both ends know these: from DTLS, SDES, MIKEY or a file. Never use a key for two senders.
master_key, master_salt = os.urandom(profile.key_len), os.urandom(profile.salt_len)

sender = SrtpSender(profile, master_key, master_salt)
receiver = SrtpReceiver(profile, master_key, master_salt)

for sequence in range(5):
    packet = struct.pack("!BBHII", 0x80, 111, sequence, 960 * sequence, 0xCAFE) + b"20 ms of sound"
    protected = sender.protect(packet)  # this goes over the network
    assert receiver.unprotect(protected) == packet
    print(f"{sequence}: {len(packet)} bytes, protected {len(protected)}: {protected[12:].hex()}")

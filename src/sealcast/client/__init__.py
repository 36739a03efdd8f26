"""A viewer in Python: watches a stream by WHEP and gives frames, one by one.

Does: offers, proves the node by its HTTPS certificate and the media leg by the fingerprint that the
node's answer named, and hands out access units and Opus packets, decrypted. A full ICE agent in the
controlling role and a DTLS client; packets stay on the native side.

Does not: decode (`sealcast.client.saving` keeps frames as they are; PyAV decodes them), or publish
(`sealcast.client.publish` does).

    async with await watch("https://node.example/whep/venue/stage-1", token=token) as viewer:
        async for frame in viewer.frames():
            print(frame.kind, frame.timestamp, len(frame.data))
"""

from sealcast.client.offer import WANTED_VIDEO
from sealcast.client.whep import Frame, ViewerSession, watch

__all__ = ["WANTED_VIDEO", "Frame", "ViewerSession", "watch"]

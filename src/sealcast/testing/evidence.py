"""What a browser's own statistics must show of a leg, and that the node's seal says the same.

Does: compares `globalThis.sealcast.stats()` of the pages with a leg of `/api/legs`, field by field.

Does not: believe either side alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from sealcast.testing.browsers import Tab, wait_for_value
from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

Side = Literal["sent", "received"]

FRAMES: Final = 60
DTLS_1_3: Final = "FEFC"
DTLS_1_2: Final = "FEFD"
AEAD: Final = frozenset({"AEAD_AES_128_GCM", "AEAD_AES_256_GCM"})
_VERSIONS: Final = {DTLS_1_3: "1.3", DTLS_1_2: "1.2"}
_STATS: Final = "await globalThis.sealcast.stats()"


def stats(tab: Tab) -> dict[str, Any]:
    """The browser's evidence, now."""
    found: dict[str, Any] = tab.evaluate(_STATS)
    assert found is not None, "the page has no leg"
    return found


def srtp_profile(browser_name: str) -> str:
    """A browser's spelling in the registry's words, such as AEAD_AES_128_GCM or
    AES128_CM_SHA1_80.
    """
    bare = browser_name.removeprefix("SRTP_")
    return bare.replace("AES128_CM_HMAC", "AES128_CM").replace("AES_CM_128_HMAC", "AES128_CM")


def wait_for_frames(tab: Tab, frames: int = FRAMES, timeout_s: float = 30.0) -> dict[str, Any]:
    """Waits until the page has decoded `frames`, and its audio energy has risen twice; gives the
    evidence.
    """
    wait_for_value(
        tab,
        f"(({_STATS})?.received.video?.frames ?? 0) >= {frames}",
        what=f"{frames} decoded frames",
        timeout_s=timeout_s,
    )
    for _ in range(2):
        before = stats(tab)["received"]["audio"]["audioEnergy"]
        wait_for_value(
            tab,
            f"(({_STATS})?.received.audio?.audioEnergy ?? 0) > {before!r} + 1e-6",
            what=f"audio energy above {before}",
            timeout_s=10,
        )
    return stats(tab)


def wait_until_sending(tab: Tab, timeout_s: float = 20.0) -> dict[str, Any]:
    """Waits until the page has sent encoded frames."""
    wait_for_value(
        tab,
        f"(({_STATS})?.sent.video?.packets ?? 0) > 30",
        what="packets of video were sent",
        timeout_s=timeout_s,
    )
    return stats(tab)


def assert_dtls_1_3_and_aead(evidence: Mapping[str, Any]) -> None:
    """The browser itself saw DTLS 1.3 and an AEAD cipher on media."""
    assert evidence["tlsVersion"] == DTLS_1_3
    assert srtp_profile(evidence["srtpCipher"]) in AEAD


def leg_of(node: Node, evidence: Mapping[str, Any], **wanted: object) -> dict[str, Any]:
    """The node's leg to the very browser that gave `evidence`, known by its certificate."""
    own = evidence["localFingerprint"]

    def mine() -> list[dict[str, Any]]:
        legs = node.legs(**wanted)
        return [leg for leg in legs if (leg["seal"] or {}).get("peer_fingerprint") == own]

    legs = wait_for(mine, what=f"a leg whose peer has the certificate {own}", timeout_s=10)
    assert len(legs) == 1, "a certificate is used on one leg only"
    return legs[0]


def assert_seal_agrees(leg: Mapping[str, Any], evidence: Mapping[str, Any]) -> None:
    """Each field of the node's seal that the browser can see too is the same there."""
    seal = leg["seal"]
    assert seal["protocol"] == "DTLS"
    assert seal["keying"] == "dtls-srtp"
    assert seal["version"] == _VERSIONS[evidence["tlsVersion"]]
    assert seal["cipher"] == evidence["dtlsCipher"]
    assert seal["srtp_profile"] == srtp_profile(evidence["srtpCipher"])
    assert seal["peer_fingerprint"] == evidence["localFingerprint"]
    if evidence["remoteFingerprint"] is not None:  # Firefox's statistics show no certificates
        assert seal["local_fingerprint"] == evidence["remoteFingerprint"]
        assert evidence["identityProved"] is True
    if evidence["tlsGroup"] is not None:
        assert seal["group"] == evidence["tlsGroup"]
    assert seal["forward_secrecy"] is True
    assert seal["post_quantum"] is ("MLKEM" in (seal["group"] or ""))
    assert seal["resumed"] is False
    assert seal["early_data"] is False
    # Of several proved paths the two ends may use different ones for a moment.
    proved = {
        (path["remote"]["address"], path["local"]["address"]) for path in evidence["provedPaths"]
    }
    assert (leg["path"]["local"], leg["path"]["remote"]) in proved


def assert_stages_done(leg: Mapping[str, Any]) -> None:
    """All six stages are done, in order, each with its time."""
    assert [stage["stage"] for stage in leg["stages"]] == [
        "signalling",
        "path",
        "handshake",
        "identity",
        "keys",
        "media",
    ]
    assert {stage["outcome"] for stage in leg["stages"]} == {"done"}
    ends = [stage["ended_ms"] for stage in leg["stages"]]
    assert None not in ends
    assert ends[1:] == sorted(ends[1:]), "signalling has a clock of its own; the others go in order"

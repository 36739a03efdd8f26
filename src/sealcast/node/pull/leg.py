"""From an origin's answer to the leg and the tracks of it, as values."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sealcast.client.offer import AgreedTrack, sockets_for
from sealcast.node import limits
from sealcast.sdp import IceCredentials, Offer
from sealcast.sdp.patch import probeable
from sealcast.streams import TrackShape
from sealcast.wire import DtlsSpec, IceSpec, LegSpec


def shapes_of(agreed: Sequence[AgreedTrack]) -> list[TrackShape]:
    """What the hub is told that the origin brings."""
    return [
        TrackShape(
            kind=each.kind,
            codec=each.codec,
            clock_rate=each.clock_rate,
            channels=each.channels if each.kind == "audio" else 0,
            profile_level_id=each.profile_level_id,
        )
        for each in agreed
    ]


def leg_spec(
    leg: int,
    answer: Offer,
    agreed: Sequence[AgreedTrack],
    tracks: Sequence[int],
    dtls: DtlsSpec,
    credentials: IceCredentials,
) -> LegSpec:
    """A leg that asks, from sockets of its own, and feeds `tracks`, in the order of `agreed`.

    SDP.NO_ICE if the answer names no address that could be reached.
    """
    candidates = probeable(answer.candidates)[: limits.PULL_CANDIDATES]
    return LegSpec(
        id=leg,
        side="client",
        ice=IceSpec(
            local_ufrag=credentials.ufrag,
            local_pwd=credentials.pwd,
            remote_ufrag=answer.credentials.ufrag,
            remote_pwd=answer.credentials.pwd,
            remote_candidates=candidates,
        ),
        dtls=dtls,
        receive=tuple(
            msgspec.structs.replace(each.spec, track=track)
            for each, track in zip(agreed, tracks, strict=True)
        ),
        own_binds=sockets_for(candidates),
    )

"""The hub's decisions: whose turn it is, who stays, who ends."""

from dataclasses import replace

import pytest

from sealcast.errors import LocalError, RemoteError
from sealcast.keying import Identity, Proof
from sealcast.keying.agreement import UNPROVED
from sealcast.streams import Change, Ending, Hub, HubLimits, Publication, TrackShape

ALICE = Identity("spiffe://example/encoder/a", Proof.CERTIFICATE)
BOB = Identity("spiffe://example/encoder/b", Proof.CERTIFICATE)
VIEWER = Identity("viewer", Proof.TOKEN)
H264 = TrackShape("video", "H264", 90_000, 0, "42e01f")
VP8 = TrackShape("video", "VP8", 90_000)
OPUS = TrackShape("audio", "opus", 48_000, 2)
STREAM = "venue/stage-1"


def publish(
    hub: Hub, leg: int, *shapes: TrackShape, who: Identity = ALICE, stream: str = STREAM
) -> Publication:
    return hub.publish(stream, leg=leg, identity=who, way="whip", shapes=shapes or (H264, OPUS))


def watch(hub: Hub, leg: int, stream: str = STREAM) -> None:
    tracks = [track.id for track in hub.watchable(stream)]
    hub.join(stream, leg=leg, identity=VIEWER, way="whep", tracks=tracks)


def live(hub: Hub, publication: Publication) -> list[Change]:
    return [hub.went_live(track.id, publication.publisher.leg) for track in publication.tracks]


def on_air() -> tuple[Hub, Publication]:
    """Alice publishes by leg 1, legs 101 and 102 watch."""
    hub = Hub()
    publication = publish(hub, 1)
    live(hub, publication)
    watch(hub, 101)
    watch(hub, 102)
    return hub, publication


def test_a_free_name_is_the_publishers() -> None:
    hub = Hub()
    publication = publish(hub, 1)
    assert not publication.takes_over
    assert [track.kind for track in publication.tracks] == ["video", "audio"]
    assert publication.new_tracks == publication.tracks
    stream = hub.get(STREAM)
    assert stream is not None
    assert not stream.live
    assert live(hub, publication) == [Change(), Change()]
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.live


@pytest.mark.parametrize("who", [BOB, UNPROVED, Identity(ALICE.name, Proof.TOKEN)])
def test_another_identity_is_refused_and_learns_nothing_of_the_holder(who: Identity) -> None:
    hub, _ = on_air()
    with pytest.raises(RemoteError) as refused:
        publish(hub, 2, who=who)
    assert (refused.value.code, refused.value.http_status) == ("STREAM.TAKEN", 409)
    assert ALICE.name not in refused.value.detail


def test_a_publisher_whose_handshake_is_over_is_not_displaced_though_it_sends_nothing() -> None:
    hub = Hub()
    publish(hub, 1)
    hub.secured(1)
    with pytest.raises(RemoteError) as refused:
        publish(hub, 2, who=BOB)
    assert refused.value.code == "STREAM.TAKEN"


def test_a_publisher_that_only_asked_yields_to_any_other_identity() -> None:
    hub = Hub()
    squatter = publish(hub, 1)
    hub.may_publish(STREAM, BOB)
    second = publish(hub, 2, who=BOB)
    assert not second.takes_over
    assert second.change == Change((Ending(1, "STREAM.YIELDED"),))
    assert second.tracks == squatter.tracks, "the same formats, so the same tracks"
    assert hub.stream_of(1) is None
    assert hub.leave(1, 5.0) == Change(), "it has nothing to leave any more"
    live(hub, second)
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert (stream.publisher.leg, stream.live) == (2, True)
    with pytest.raises(RemoteError):
        publish(hub, 3)


def test_what_waits_for_its_turn_yields_with_the_publisher_it_would_have_replaced() -> None:
    hub = Hub()
    publish(hub, 1)
    publish(hub, 2)
    third = publish(hub, 3, who=BOB)
    assert {ending.leg: ending.code for ending in third.change.endings} == {
        1: "STREAM.YIELDED",
        2: "STREAM.YIELDED",
    }
    assert not third.takes_over


def test_one_that_waits_and_has_its_keys_keeps_both_from_yielding() -> None:
    hub = Hub()
    publish(hub, 1)
    publish(hub, 2)
    hub.secured(2)
    with pytest.raises(RemoteError) as refused:
        publish(hub, 3, who=BOB)
    assert refused.value.code == "STREAM.TAKEN"


def test_tracks_that_only_a_squatter_brought_go_with_it_and_viewers_of_before_stay() -> None:
    hub, first = on_air()
    hub.leave(1, 10.0)
    squatter = publish(hub, 2, VP8, OPUS, who=BOB)
    assert [ending.code for ending in squatter.change.endings] == ["STREAM.CODEC_CHANGED"] * 2
    watch(hub, 103)
    second = publish(hub, 3, H264)
    (vp8,) = squatter.new_tracks
    assert second.change.removed_tracks == (vp8.id,)
    assert second.change.endings == (
        Ending(2, "STREAM.YIELDED"),
        Ending(103, "STREAM.CODEC_CHANGED"),
    )
    stream = hub.get(STREAM)
    assert stream is not None
    assert {track.id for track in stream.tracks} == {
        *(track.id for track in second.new_tracks),
        first.tracks[1].id,
    }


def test_a_stream_whose_tracks_the_relay_could_not_carry_is_refused_before_it_begins() -> None:
    hub = Hub(HubLimits(tracks=3))
    publish(hub, 1)
    with pytest.raises(RemoteError) as refused:
        publish(hub, 2, stream="b")
    assert (refused.value.code, refused.value.http_status) == ("STREAM.TOO_MANY", 503)
    assert hub.get("b") is None
    publish(hub, 2, H264, stream="b")


def test_the_same_identity_takes_over_at_its_first_key_frame_and_viewers_stay() -> None:
    hub, first = on_air()
    second = publish(hub, 2)
    assert second.takes_over
    assert [track.id for track in second.tracks] == [track.id for track in first.tracks]
    assert second.new_tracks == ()
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == first.publisher.leg
    video, audio = second.tracks
    assert hub.went_live(audio.id, 2) == Change()
    assert hub.went_live(video.id, 2) == Change((Ending(1, "STREAM.TAKEN_OVER"),))
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == second.publisher.leg
    assert set(stream.viewers) == {101, 102}


def test_the_old_legs_end_after_a_take_over_changes_nothing() -> None:
    hub, _ = on_air()
    live(hub, publish(hub, 2))
    assert hub.leave(1, 10.0) == Change()
    assert [track.source for track in hub.watchable(STREAM)] == [2, 2]


def test_a_take_over_that_never_goes_live_changes_nothing() -> None:
    hub, first = on_air()
    publish(hub, 2)
    assert hub.leave(2, 10.0) == Change()
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert (stream.publisher.leg, stream.pending) == (first.publisher.leg, None)


def test_when_the_old_leg_dies_first_the_pending_one_has_the_stream() -> None:
    hub, _ = on_air()
    second = publish(hub, 2)
    assert hub.leave(1, 10.0) == Change()
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == second.publisher.leg
    assert not stream.live
    live(hub, second)
    assert set(hub.get(STREAM).viewers) == {101, 102}  # type: ignore[union-attr]


def test_a_third_leg_supersedes_a_pending_one() -> None:
    hub, _ = on_air()
    publish(hub, 2, VP8)
    third = publish(hub, 3)
    assert third.change.endings == (Ending(2, "STREAM.TAKEN_OVER"),)
    assert len(third.change.removed_tracks) == 1
    assert hub.leave(2, 1.0) == Change()
    assert hub.went_live(third.tracks[0].id, 3).endings == (Ending(1, "STREAM.TAKEN_OVER"),)


def test_another_codec_replaces_the_track_and_ends_its_viewers_only_when_it_is_live() -> None:
    hub, first = on_air()
    hub.join(STREAM, leg=103, identity=VIEWER, way="whep", tracks=[first.tracks[1].id])
    second = publish(hub, 2, VP8, OPUS)
    assert [track.codec for track in second.new_tracks] == ["VP8"]
    assert [track.codec for track in hub.watchable(STREAM)] == ["H264", "opus"]
    change = hub.went_live(second.new_tracks[0].id, 2)
    assert change.removed_tracks == (first.tracks[0].id,)
    assert set(change.endings) == {
        Ending(1, "STREAM.TAKEN_OVER"),
        Ending(101, "STREAM.CODEC_CHANGED"),
        Ending(102, "STREAM.CODEC_CHANGED"),
    }
    assert [track.codec for track in hub.watchable(STREAM)] == ["VP8", "opus"]
    assert hub.leave(101, 5.0) == Change()


def test_a_publisher_without_picture_takes_over_with_its_sound() -> None:
    hub = Hub()
    live(hub, publish(hub, 1, OPUS))
    second = publish(hub, 2, OPUS)
    assert hub.went_live(second.tracks[0].id, 2) == Change((Ending(1, "STREAM.TAKEN_OVER"),))


def test_viewers_wait_for_a_publisher_who_comes_back() -> None:
    hub, _ = on_air()
    assert hub.leave(1, 100.0) == Change()
    with pytest.raises(RemoteError) as absent:
        hub.watchable(STREAM)
    assert absent.value.code == "STREAM.ABSENT"
    assert hub.sweep(129.0) == Change()
    back = publish(hub, 2, who=BOB)
    assert not back.takes_over
    assert back.new_tracks == ()
    assert hub.sweep(1000.0) == Change()
    assert set(hub.get(STREAM).viewers) == {101, 102}  # type: ignore[union-attr]


def test_viewers_end_when_nobody_comes_back() -> None:
    hub, publication = on_air()
    hub.leave(1, 100.0)
    change = hub.sweep(130.0)
    assert set(change.endings) == {Ending(101, "STREAM.ENDED"), Ending(102, "STREAM.ENDED")}
    assert set(change.removed_tracks) == {track.id for track in publication.tracks}
    assert hub.get(STREAM) is None
    assert hub.leave(101, 131.0) == Change()


def test_a_publisher_who_comes_back_with_another_codec_ends_the_viewers_at_once() -> None:
    hub, first = on_air()
    hub.leave(1, 100.0)
    change = publish(hub, 2, VP8, OPUS).change
    assert {ending.code for ending in change.endings} == {"STREAM.CODEC_CHANGED"}
    assert change.removed_tracks == (first.tracks[0].id,)


def test_the_last_to_leave_takes_the_tracks_along() -> None:
    hub, publication = on_air()
    hub.leave(101, 1.0)
    hub.leave(1, 2.0)
    change = hub.leave(102, 3.0)
    assert set(change.removed_tracks) == {track.id for track in publication.tracks}
    assert hub.streams() == []


def test_h264_is_offered_once_its_sps_was_read() -> None:
    hub = Hub()
    shape = TrackShape("video", "H264", 90_000)
    video, _ = publish(hub, 1, shape, OPUS).tracks
    with pytest.raises(RemoteError) as early:
        hub.watchable(STREAM)
    assert early.value.code == "STREAM.NOT_READY"
    hub.describe(video.id, profile_level_id="640028")
    assert hub.watchable(STREAM)[0].shape.profile_level_id == "640028"


def test_b_frames_are_admitted_and_refused_to_viewers() -> None:
    hub, publication = on_air()
    hub.describe(publication.tracks[0].id, has_b_frames=True)
    with pytest.raises(RemoteError) as refused:
        hub.watchable(STREAM)
    assert (refused.value.code, refused.value.http_status) == ("STREAM.B_FRAMES", 406)
    assert "-bf 0" in refused.value.row.remedy
    assert set(hub.get(STREAM).viewers) == {101, 102}  # type: ignore[union-attr]


def test_a_pending_publishers_new_track_is_described_too() -> None:
    hub = Hub()
    live(hub, publish(hub, 1, VP8))
    second = publish(hub, 2, TrackShape("video", "H264", 90_000))
    hub.describe(second.tracks[0].id, profile_level_id="42c01f")
    hub.went_live(second.tracks[0].id, 2)
    assert hub.watchable(STREAM)[0].shape.profile_level_id == "42c01f"


def test_reports_about_strangers_change_nothing() -> None:
    hub = Hub()
    assert hub.went_live(99, 1) == Change()
    assert hub.leave(99, 0.0) == Change()
    hub.describe(99, has_b_frames=True)
    assert hub.streams() == []


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".a", "a b", "a%2f", "é", "a" * 129]
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(RemoteError) as refused:
        publish(Hub(), 1, stream=name)
    assert refused.value.code == "STREAM.BAD_NAME"


def test_limits_are_kept() -> None:
    hub = Hub(HubLimits(streams=1, viewers_per_stream=1))
    publish(hub, 1)
    with pytest.raises(RemoteError) as full:
        publish(hub, 2, stream="other")
    assert full.value.code == "STREAM.TOO_MANY"
    watch(hub, 101)
    with pytest.raises(RemoteError) as crowded:
        watch(hub, 102)
    assert crowded.value.code == "STREAM.TOO_MANY_VIEWERS"
    assert hub.stream_of(102) is None


@pytest.mark.parametrize("shapes", [(), (H264, VP8)])
def test_a_publisher_brings_one_track_of_a_kind(shapes: tuple[TrackShape, ...]) -> None:
    hub = Hub()
    with pytest.raises(LocalError):
        hub.publish(STREAM, leg=1, identity=ALICE, way="whip", shapes=shapes)
    assert hub.streams() == []


def test_a_leg_that_continues_another_stands_in_its_place() -> None:
    hub, first = on_air()
    hub.succeed(1, 2)
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.publisher.leg == 2
    assert stream.tracks == tuple(
        replace(track, source=2) for track in stream.tracks if track.id in first.publisher.tracks
    )
    assert set(stream.viewers) == {101, 102}
    assert hub.leave(1, 5.0) == Change(), "it has nothing to leave any more"
    assert hub.stream_of(2) == STREAM
    hub.leave(2, 6.0)
    quiet = hub.get(STREAM)
    assert quiet is not None
    assert quiet.publisher is None


def test_a_leg_that_waits_for_its_turn_is_continued_too() -> None:
    hub, _ = on_air()
    publish(hub, 2)
    hub.succeed(2, 3)
    stream = hub.get(STREAM)
    assert stream is not None
    assert stream.publisher is not None
    assert stream.pending is not None
    assert (stream.publisher.leg, stream.pending.leg) == (1, 3)
    (video, _audio) = stream.tracks
    assert hub.went_live(video.id, 3).endings == (Ending(1, "STREAM.TAKEN_OVER"),)


@pytest.mark.parametrize("leg", [101, 99])
def test_only_a_publisher_is_continued(leg: int) -> None:
    hub, _ = on_air()
    before = hub.get(STREAM)
    hub.succeed(leg, 3)
    assert hub.get(STREAM) == before
    assert hub.stream_of(3) is None

//! Snapshots of a relay full of legs: a bounded part per turn, and media in every one of them.

use crossbeam_channel::{bounded, Receiver};

use super::{Stand, FRAME_INTERVAL, FRAME_PACKETS};
use crate::limits;
use crate::snapshot::Snapshot;

/// Three full turns and a rest.
const LEGS: usize = 3 * limits::SURVEY_ROWS_PER_TURN + 7;

fn ask(stand: &mut Stand) -> Receiver<Snapshot> {
    let (asker, answer) = bounded(1);
    let core = &mut stand.shard.core;
    core.surveys.begin(asker, &core.tracks);
    answer
}

#[test]
fn a_snapshot_of_many_legs_takes_its_turns_and_media_goes_on_between_them() {
    let mut stand = Stand::new();
    let mut publisher = stand.publisher();
    let mut viewer = stand.viewer();
    stand.settle([&mut publisher.peer, &mut viewer].into_iter());
    for _ in 2..LEGS {
        stand.viewer();
    }
    let answer = ask(&mut stand);
    // The rest has room for the two tracks.
    for turn in 0..3 {
        stand.now += FRAME_INTERVAL;
        publisher.frame(turn == 0, |_| false);
        stand.work();
        assert!(answer.is_empty(), "all read after {} turns", turn + 1);
        viewer.take(stand.now);
        assert_eq!(viewer.taken_pictures().len(), FRAME_PACKETS, "turn {turn}");
    }
    stand.work();
    let snapshot = answer.try_recv().expect("the fourth turn is the last");
    let mut ids: Vec<_> = snapshot.legs.iter().map(|leg| leg.id).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(1..=LEGS as u64), "every leg once");
    assert_eq!(snapshot.tracks.len(), 2);
    assert_eq!(snapshot.turns, stand.shard.core.turns);
    assert!(stand.shard.core.surveys.is_empty());
}

#[test]
fn however_many_ask_a_turn_reads_no_more_rows() {
    let mut stand = Stand::new();
    for _ in 0..limits::SURVEY_ROWS_PER_TURN {
        stand.viewer();
    }
    let answers: Vec<_> = (0..limits::SURVEYS).map(|_| ask(&mut stand)).collect();
    let refused = ask(&mut stand);
    assert!(
        refused
            .try_recv()
            .is_err_and(|error| error.is_disconnected()),
        "one too many sees at once that nobody will answer"
    );
    let rows = answers.len() * (limits::SURVEY_ROWS_PER_TURN + 2);
    let mut turns = 0;
    while !stand.shard.core.surveys.is_empty() {
        stand.work();
        turns += 1;
        assert!(turns <= rows, "it never ends");
    }
    assert!(
        turns >= rows / limits::SURVEY_ROWS_PER_TURN,
        "{turns} turns"
    );
    for answer in answers {
        let snapshot = answer.try_recv().expect("it was answered");
        assert_eq!(snapshot.legs.len(), limits::SURVEY_ROWS_PER_TURN);
    }
}

#[test]
fn one_leg_is_read_without_the_others() {
    let mut stand = Stand::new();
    let ids: Vec<_> = (0..5).map(|_| stand.viewer().id).collect();
    let read = |id| stand.shard.core.leg_snapshot(id, stand.now);
    assert_eq!(read(ids[3]).map(|leg| leg.id), Some(ids[3]));
    assert!(read(99).is_none(), "there is no such leg");
}

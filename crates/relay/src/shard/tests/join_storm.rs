//! Two hundred handshakes at once, and garbage among them: each turn does a bounded part of that
//! work, and media goes out in the very turn in which it is read from the socket.

use super::{is_contiguous, Peer, Stand, FRAME_INTERVAL, FRAME_PACKETS};
use crate::codes as code;
use crate::limits;

/// Turns until a frame is read that lies behind all the datagrams of a round of this storm.
const TURNS_PER_FRAME: usize = 3;

/// Something that BoringSSL must look at: a handshake record of DTLS 1.2 with nonsense in it.
fn garbage(seed: u8) -> Vec<u8> {
    let mut datagram = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 0, seed, 1, 0];
    datagram.extend((0..256_u16).map(|at| (at as u8).wrapping_mul(seed) ^ seed));
    datagram
}

#[test]
fn a_storm_of_joins_does_not_hold_up_media() {
    let mut stand = Stand::new();
    let mut publisher = stand.publisher();
    let mut viewers: Vec<_> = (0..3).map(|_| stand.viewer()).collect();
    // Their addresses are validated and their handshakes over, so both are heard to the end.
    let mut attackers: Vec<_> = (0..2).map(|_| stand.viewer()).collect();
    stand.settle(
        std::iter::once(&mut publisher.peer)
            .chain(&mut viewers)
            .chain(&mut attackers),
    );
    let mut joining: Vec<Peer> = (0..200).map(|_| stand.viewer()).collect();

    let (mut rounds, mut busy_turns, mut waited) = (0, 0, 0);
    while !joining.iter().all(|peer| peer.leg.is_secured()) {
        assert!(rounds < 5_000, "the joiners never get in");
        for peer in &mut joining {
            peer.work(stand.now);
        }
        for attacker in &mut attackers {
            attacker.work(stand.now);
            let path = attacker.leg.path().expect("it is settled");
            for seed in 1..=40 {
                attacker.send_raw(path.remote, &garbage(seed));
            }
        }
        stand.now += FRAME_INTERVAL;
        publisher.peer.work(stand.now);
        publisher.frame(rounds % 30 == 0, |_| false);
        rounds += 1;

        let mut got = vec![Vec::new(); viewers.len()];
        for _ in 0..TURNS_PER_FRAME {
            let before = stand.shard.core.handshakes.worked();
            let entered = stand.shard.core.media_received;
            stand.work();
            let worked = stand.shard.core.handshakes.worked() - before;
            assert!(
                worked <= limits::DTLS_PER_TURN as u64,
                "{worked} DTLS datagrams in one turn"
            );
            busy_turns += u64::from(worked > 0);
            waited += u64::from(!stand.shard.core.handshakes.is_empty());
            let entered = stand.shard.core.media_received - entered;
            for (viewer, got) in viewers.iter_mut().zip(&mut got) {
                viewer.work(stand.now);
                let numbers = viewer.taken_pictures();
                if entered == FRAME_PACKETS as u64 {
                    assert_eq!(numbers.len(), FRAME_PACKETS, "round {rounds}");
                }
                got.extend(numbers);
            }
        }
        for numbers in got {
            assert_eq!(numbers.len(), FRAME_PACKETS, "round {rounds}");
            assert!(is_contiguous(&numbers));
        }
    }
    assert!(
        busy_turns >= 50,
        "the work was spread over {busy_turns} turns"
    );
    assert!(waited >= 50, "the queue was never empty for long");
    let refused: u64 = attackers
        .iter()
        .map(|attacker| stand.drops(attacker.id, code::DTLS_QUEUE_FULL))
        .sum();
    assert!(
        refused > 0,
        "a flood of one leg is cut down to its share of the queue"
    );
    for viewer in viewers.iter().chain([&publisher.peer]) {
        for code in [code::VIEWER_LAGGED, code::SEND_WOULD_BLOCK] {
            assert_eq!(stand.drops(viewer.id, code), 0);
        }
    }
}

//! The same forwarding on every machine, for callgrind to count: `tests/instructions` runs this,
//! built as users get it (`cargo test --release`), and not among the tests.

use super::{is_contiguous, paced, Stand, FRAME_INTERVAL, FRAME_PACKETS};

const VIEWERS: usize = 8;
const WARM_UP: usize = 30;
const FRAMES: usize = 60;

/// Callgrind counts only what happens in here: from the sockets' receive to their send, history,
/// pacing and RTCP included, peers not.
#[inline(never)]
fn counted_forwarding(stand: &mut Stand) {
    stand.shard.forward(stand.now);
}

#[test]
#[ignore = "a program for callgrind; tests/instructions runs it"]
fn forwarding_for_callgrind() {
    let mut stand = Stand::new();
    let mut publisher = stand.publisher();
    let mut viewers: Vec<_> = (0..VIEWERS).map(|_| stand.viewer()).collect();
    stand.settle(std::iter::once(&mut publisher.peer).chain(&mut viewers));

    for frame in 0..WARM_UP + FRAMES {
        for step in 0..2 {
            if step == 0 {
                stand.now += FRAME_INTERVAL;
                publisher.frame(frame % 30 == 0, |_| false);
            } else {
                stand.now += paced();
            }
            if frame < WARM_UP {
                stand.shard.forward(stand.now);
            } else {
                counted_forwarding(&mut stand);
            }
        }
        for viewer in &mut viewers {
            viewer.take(stand.now);
            let numbers = viewer.taken_pictures();
            assert_eq!(numbers.len(), FRAME_PACKETS, "frame {frame}");
            assert!(is_contiguous(&numbers), "frame {frame}");
        }
    }
    println!("packets {}", FRAMES * FRAME_PACKETS * VIEWERS);
}

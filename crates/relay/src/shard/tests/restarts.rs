//! ICE restarts that come to nothing: a client may ask for as many as it likes.

use sealcast_leg::IceCredentials;

use super::Stand;
use crate::command::Command;

#[test]
fn restarts_that_find_no_path_heap_up_no_user_fragments() {
    let mut stand = Stand::new();
    let viewer = stand.viewer();
    let mut asked = Vec::new();
    for _ in 0..50 {
        let (ours, theirs) = (IceCredentials::generate(), IceCredentials::generate());
        asked.push(ours.ufrag.clone());
        stand.command(Command::RestartIce {
            leg: viewer.id,
            local_ufrag: ours.ufrag,
            local_pwd: ours.pwd,
            remote_ufrag: theirs.ufrag,
            remote_pwd: theirs.pwd,
        });
    }
    let routes = &stand.shard.core.routes;
    let (newest, replaced) = asked.split_last().expect("there were fifty");
    assert!(routes.by_ufrag(newest.as_bytes()).is_some());
    for ufrag in replaced {
        assert_eq!(routes.by_ufrag(ufrag.as_bytes()), None, "{ufrag}");
    }
}

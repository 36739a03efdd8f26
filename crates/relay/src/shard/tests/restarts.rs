//! ICE restarts that come to nothing: a client may ask for as many as it likes.

use sealcast_leg::IceCredentials;

use super::{Shard, Stand};
use crate::restart::IceRestart;

#[test]
fn restarts_that_find_no_path_heap_up_no_user_fragments() {
    let mut stand = Stand::new();
    let viewer = stand.viewer();
    let mut asked = Vec::new();
    for _ in 0..50 {
        let (ours, theirs) = (IceCredentials::generate(), IceCredentials::generate());
        asked.push(ours.ufrag.clone());
        let restart = IceRestart {
            leg: viewer.id,
            local: ours,
            remote: theirs,
        };
        let Shard { core, ports, .. } = &mut stand.shard;
        core.restart_ice(&restart, stand.now, ports)
            .expect("the leg is there");
    }
    let routes = &stand.shard.core.routes;
    let (newest, replaced) = asked.split_last().expect("there were fifty");
    assert!(routes.by_ufrag(newest.as_bytes()).is_some());
    for ufrag in replaced {
        assert_eq!(routes.by_ufrag(ufrag.as_bytes()), None, "{ufrag}");
    }
}

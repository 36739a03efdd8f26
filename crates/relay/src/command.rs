//! What the caller may tell the relay: imperative, worked in order by the shard.

use std::net::SocketAddr;
use std::sync::Arc;

use sealcast_tls::Identity;

use crate::spec::{Codec, Kind, LegId, LegSpec, TrackId};

/// An instruction. Unknown ids are ignored: the thing may just have ended by itself.
#[derive(Debug)]
pub enum Command {
    /// Makes a track.
    AddTrack {
        /// Its id.
        id: TrackId,
        /// Picture or sound.
        kind: Kind,
        /// Payload format.
        codec: Codec,
        /// RTP clock.
        clock_rate: u32,
    },
    /// Removes a track; slots, sinks and taps of it end.
    RemoveTrack {
        /// Its id.
        id: TrackId,
    },
    /// Starts a leg.
    AddLeg {
        /// What was agreed.
        spec: Box<LegSpec>,
        /// Our certificate and key for this leg alone.
        identity: Arc<Identity>,
    },
    /// One more address to probe (client side).
    AddRemoteCandidate {
        /// The leg.
        leg: LegId,
        /// Where.
        address: SocketAddr,
    },
    /// Ends a leg.
    CloseLeg {
        /// The leg.
        leg: LegId,
        /// Why; comes back in the event.
        code: String,
    },
}

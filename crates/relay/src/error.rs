//! What a caller of the relay can be refused with.

use std::net::SocketAddr;

use sealcast_leg::LegError;

use crate::codes as code;
use crate::spec::LegId;

/// A refusal: a code and a sentence. Everything survivable is counted instead (module
/// [`crate::drops`]).
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// No socket could be bound there.
    #[error("cannot bind {address}: {reason}")]
    BindFailed {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// There is no address that a peer could reach.
    #[error(
        "no usable local address: bind an address that peers can reach, or bring an interface up"
    )]
    NoAddress,
    /// A descriptor or thread could not be made.
    #[error("cannot start: {0}")]
    StartFailed(std::io::Error),
    /// The shard has ended.
    #[error("the relay has stopped")]
    Stopped,
    /// The queue of commands is full.
    #[error("the relay has too many commands waiting")]
    Busy,
    /// The queue of a sink is full; the frame was dropped.
    #[error(
        "the relay takes this track's frames more slowly than they come; the frame was dropped"
    )]
    SinkFull,
    /// The frame is empty or longer than the history allows.
    #[error("a frame of {0} bytes does not fit into a track")]
    FrameTooBig(usize),
    /// The track does not exist any more.
    #[error("the track has been removed")]
    NoTrack,
    /// A leg's specification is not well formed.
    #[error("{0}")]
    BadSpec(String),
    /// The leg does not exist, or no longer.
    #[error("there is no leg {0}; it may just have ended")]
    UnknownLeg(LegId),
    /// The local user fragment of an ICE restart is another leg's.
    #[error("another leg has this local user fragment")]
    UfragTaken,
    /// What the leg itself refuses.
    #[error("{0}")]
    Leg(#[from] LegError),
    /// The shard did not answer in time.
    #[error("the relay did not answer in time")]
    NoAnswer,
}

impl RelayError {
    /// The code, the same string everywhere.
    pub fn code(&self) -> &'static str {
        match self {
            RelayError::BindFailed { .. } => code::BIND_FAILED,
            RelayError::NoAddress => code::NO_ADDRESS,
            RelayError::StartFailed(_) => code::START_FAILED,
            RelayError::Stopped => code::STOPPED,
            RelayError::Busy => code::BUSY,
            RelayError::SinkFull => code::SINK_FULL,
            RelayError::FrameTooBig(_) => code::FRAME_TOO_BIG,
            RelayError::NoTrack => code::NO_TRACK,
            RelayError::BadSpec(_) => code::BAD_SPEC,
            RelayError::UnknownLeg(_) => code::UNKNOWN_LEG,
            RelayError::UfragTaken => code::UFRAG_TAKEN,
            RelayError::Leg(error) => error.code(),
            RelayError::NoAnswer => code::NO_ANSWER,
        }
    }
}

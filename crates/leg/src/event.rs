//! What comes out of a leg.

use std::fmt;
use std::net::SocketAddr;

use sealcast_srtp::{PacketKind, Profile};
use sealcast_tls::Facts;

use crate::stage::Stage;

/// A pair of addresses that answered our check and that the controlling end nominated.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Path {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.local, self.remote)
    }
}

/// What became of a datagram.
#[derive(Eq, PartialEq, Debug)]
pub enum Received<'a> {
    /// A plain RTP packet, opened in place.
    Rtp(&'a mut [u8]),
    /// A plain compound RTCP packet, opened in place.
    Rtcp(&'a mut [u8]),
    /// The leg used it.
    Handled,
    /// Nothing changed; the code says why.
    Dropped(&'static str),
}

/// Work for the caller.
#[derive(Debug)]
pub enum Output {
    /// Send this datagram from one of our addresses.
    Transmit {
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
        /// These bytes.
        datagram: Vec<u8>,
    },
    /// Something happened.
    Event(LegEvent),
}

/// What happened to the leg.
#[derive(Debug)]
pub enum LegEvent {
    /// A stage began.
    StageStarted(Stage),
    /// A stage ended well.
    StageDone(Stage),
    /// A stage ended badly, and with it the leg: [`LegEvent::Closed`] follows.
    StageFailed {
        /// Which.
        stage: Stage,
        /// Why.
        code: &'static str,
        /// The evidence.
        detail: String,
    },
    /// An authenticated STUN message came from this address: datagrams from it are this leg's.
    SourceValidated {
        /// The address.
        remote: SocketAddr,
    },
    /// The leg has no more use for this address.
    SourceForgotten {
        /// The address.
        remote: SocketAddr,
    },
    /// Where packets go from now on.
    PathChanged(Path),
    /// Keys are installed. What they are made of.
    Sealed(Box<SealFacts>),
    /// The key of one direction has few packets left; with the last one the leg ends.
    KeyNearlySpent {
        /// `SRTP.KEY_NEARLY_SPENT`.
        code: &'static str,
        /// Of which protocol.
        kind: PacketKind,
        /// How many packets.
        remaining: u64,
    },
    /// The leg has ended; nothing follows, and every source of it can be forgotten.
    Closed {
        /// Why.
        code: &'static str,
        /// The evidence; may be empty.
        detail: String,
    },
}

/// The negotiated facts of a leg, as far as the leg knows them. Never a key.
#[derive(Clone, Debug)]
pub struct SealFacts {
    /// What the handshake negotiated and who the peer proved to be.
    pub dtls: Facts,
    /// What protects the packets.
    pub srtp_profile: Profile,
    /// `sha-256 AB:CD:…` of our certificate.
    pub local_fingerprint: String,
    /// Which of the expected fingerprints the certificate met: `sha-512 AB:CD:…`.
    pub peer_fingerprint: String,
}

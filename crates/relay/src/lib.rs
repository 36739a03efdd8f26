//! The packet room: UDP sockets in batches, routes, fan-out, retransmission, pacing, payload
//! formats.
//!
//! # What it does
//!
//! One *shard* (a thread, [`handle::RelayHandle`] starts it) owns its sockets, its media legs and
//! its timers. Packets of a publisher are authenticated and opened by the leg, copied once into the
//! track's history ring, and walked from there by every viewer's slot at the speed of that viewer's
//! pacer: header rewritten, protected with the viewer's own key, sent in batches. Frames of a
//! demuxer enter through a [`sink::FrameSink`] and are packetized once; frames leave to a recorder
//! or a client through a [`tap::FrameTap`].
//!
//! # What it does not
//!
//! It decides nothing: which leg may exist, which keys it may agree on and which track it may feed
//! was decided by the caller, who hands in a [`spec::LegSpec`]. It parses no SDP, knows no stream
//! names, no tokens, no Python. It never blocks on a socket, never logs per packet and never
//! allocates per packet on the way from socket to socket.
//!
//! # Specifications
//!
//! RTP and RTCP: RFC 3550, RFC 3551. Feedback: RFC 4585, RFC 5104. Retransmission: RFC 4588. Header
//! extensions: RFC 8285. Demultiplexing: RFC 7983, RFC 9443. Bundling by MID: RFC 9143. Payloads:
//! RFC 6184, RFC 7587, RFC 7741, RFC 9628.
//!
//! # What the caller must still do
//!
//! Drain [`handle::RelayHandle::drain_events`] when [`handle::RelayHandle::event_fd`] is readable;
//! choose ids that it never uses twice; close the superseded source of a track after
//! [`event::Event::TrackLive`].

pub mod payload;
pub mod reception;
pub mod rtcp;
pub mod rtp;
pub mod udp;

mod agenda;
mod audience;
pub mod clock;
pub mod codes;
pub mod command;
mod deliver;
mod demux;
pub mod drops;
mod entry;
pub mod error;
pub mod event;
mod feeder;
pub mod handle;
mod handshakes;
pub mod history;
mod incoming;
mod legs;
pub mod limits;
mod outbox;
pub mod pacer;
mod ports;
pub mod ranges;
pub mod restart;
mod routes;
mod shard;
pub mod sink;
pub mod slot;
pub mod snapshot;
pub mod source;
pub mod spec;
mod survey;
pub mod tap;
pub mod track;
mod tracks;
mod wake;

pub use codes::ALL as CODES;
pub use command::Command;
pub use error::RelayError;
pub use event::{Event, SealReport};
pub use handle::{RelayConfig, RelayHandle};
pub use restart::{IceCredentials, IceRestart};
pub use sink::FrameSink;
pub use snapshot::Snapshot;
pub use spec::LegSpec;
pub use tap::{FrameTap, TapFrame};

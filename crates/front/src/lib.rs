//! The TCP side of a node: TLS doors, HTTP/1.1 and HTTP/2, the proxy to the Python application, raw
//! TLS ingest.
//!
//! **What it does.** A *door* is one named set of listening addresses with one policy. A connection
//! is accepted, proved (TLS, with a client certificate where the door requires one), given an id,
//! and then either
//!
//! - spoken to in HTTP: every request goes to the application over a private Unix socket, stripped
//!   of whatever the client said about itself and marked with the connection's id and a per-start
//!   secret ([`FrontHandle`] keeps the facts of that id), or
//! - poured, as plain bytes, into one end of a socket pair whose other end the application takes
//!   (raw ingest). The body of a request can be taken in the same way.
//!
//! **What it does not.** It decides nothing: who may publish or watch is the application's
//! business. It has no plain HTTP listener, no cache, no routing. It never calls into Python and
//! never takes its lock: commands come in through [`FrontHandle`], events go out through a bounded
//! queue that an eventfd announces.
//!
//! **Specifications.** RFC 9110 (§7.6 for what a proxy may forward), RFC 9112, RFC 9113, RFC 6455
//! (tunnelled), RFC 6797 (HSTS), RFC 9457 (problem documents), RFC 8446 and RFC 5246 through
//! `sealcast-tls`.
//!
//! **What the caller must still do.** Keep the private socket in a folder only it can enter;
//! compare the secret header in constant time on every request; answer `Expect: 100-continue`, with
//! which every body comes; drain events when the descriptor is readable; take every ingest it is
//! told of.
//!
//! One connection's journey reads in this order: [`door`](DoorSpec) accepts, `turns` lets wait,
//! `handshake` proves, `connections` remembers, `http` and `proxy` or `ingest` serve, `events` tell.
//! A request's way back: `places` and `pool` lend a connection to the application, `upload` watches
//! what goes there, `answer` what comes back, `handed` carries what goes another way.

#![deny(unsafe_code)]

mod answer;
mod app_stream;
mod codes;
mod connections;
mod counters;
mod door;
mod events;
mod handed;
mod handle;
mod handshake;
mod http;
mod ingest;
mod limits;
mod places;
mod pool;
mod proxy;
mod shares;
mod stream;
mod streams;
mod timing;
mod turns;
mod upload;

pub use codes::{Code, CODES};
pub use connections::ConnectionFacts;
pub use counters::{CountersSnapshot, DoorCounters};
pub use door::{ClientAuthSpec, DoorKind, DoorSpec};
pub use events::Event;
pub use handed::LastAnswer;
pub use handle::{FrontConfig, FrontError, FrontHandle};
pub use limits::Limits;
pub use sealcast_tls::server::CertificateId;
pub use stream::{Role, TlsStream, Traffic};
pub use timing::Timing;

//! What an endpoint reports: its outcome, and what it dropped.

use crate::Facts;

/// What happened to the association.
#[derive(Clone, Debug, PartialEq, Eq)]
// One value per association: boxing the facts would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum DtlsEvent {
    /// The peer's certificate matched, the handshake completed, an SRTP profile was agreed on.
    Established(Facts),
    /// It is over: by a refusal of ours, by one of the peer, or by time.
    Failed {
        /// A code from [`codes`](crate::codes).
        code: &'static str,
        /// The evidence, in a sentence.
        detail: String,
    },
    /// The peer closed an established association.
    Closed,
}

/// Counts of one endpoint since its creation.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct DtlsCounters {
    /// Datagrams given to the engine.
    pub received: u64,
    /// Datagrams made by the engine, those dropped included.
    pub sent: u64,
    /// Timers that expired, each of which sends again or acknowledges.
    pub timeouts: u64,
    /// Datagrams dropped because they exceed [`MAX_DATAGRAM`](super::MAX_DATAGRAM).
    pub dropped_oversized: u64,
    /// Empty datagrams dropped: the engine would take one for the end of the transport.
    pub dropped_empty: u64,
    /// Datagrams dropped because they cannot be DTLS: their first record's header says so.
    pub dropped_not_dtls: u64,
    /// Datagrams given to the engine after which nothing was different that can be seen from
    /// outside: forged or repeated ones, and parts of a message whose rest is still to come.
    pub without_effect: u64,
    /// Datagrams dropped because the association was over.
    pub dropped_late: u64,
    /// Datagrams of ours dropped because the caller did not drain.
    pub dropped_undrained: u64,
    /// Application data records: nothing here expects any.
    pub dropped_application_data: u64,
}

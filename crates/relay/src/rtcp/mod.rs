//! RTCP: compound packets read without copying, written without allocating.
//!
//! Does: sender and receiver reports, BYE (RFC 3550 §6), generic NACK, PLI (RFC 4585 §6), FIR
//! (RFC 5104 §4.3.1), transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01),
//! REMB (draft-alvestrand-rmcat-remb-03); SDES is written with a CNAME only.
//! Does not: authenticate, decide when to send what (`reception` and the viewer's slot do), read
//! SDES, APP or XR (they are skipped).
//! The caller must: hand in plain, authenticated compounds; count the code of
//! [`RtcpItem::Malformed`].
//!
//! A compound whose framing is broken anywhere yields nothing but one `Malformed`, so half of a
//! damaged packet never takes effect (RFC 3550 A.2). Reduced-size compounds (RFC 5506) are read
//! like any other.

mod read;
mod transport_feedback;
mod write;

pub use read::{parse, Items, LostSequences, RtcpItem, MALFORMED};
pub use transport_feedback::{TransportFeedback, TransportStatuses, TICKS_PER_REFERENCE};
pub use write::{CompoundWriter, ReportBlockFields, SenderReportFields};

pub(crate) mod packet_type {
    //! RTCP packet types and feedback message types, each once.
    pub const SENDER_REPORT: u8 = 200; // RFC 3550 §6.4.1
    pub const RECEIVER_REPORT: u8 = 201; // RFC 3550 §6.4.2
    pub const SOURCE_DESCRIPTION: u8 = 202; // RFC 3550 §6.5
    pub const BYE: u8 = 203; // RFC 3550 §6.6
    pub const TRANSPORT_FEEDBACK: u8 = 205; // RFC 4585 §6.1
    pub const PAYLOAD_FEEDBACK: u8 = 206; // RFC 4585 §6.1
    pub const FMT_NACK: u8 = 1; // RFC 4585 §6.2.1
    pub const FMT_TRANSPORT_WIDE: u8 = 15; // transport-wide-cc-extensions-01 §3.1
    pub const FMT_PLI: u8 = 1; // RFC 4585 §6.3.1
    pub const FMT_FIR: u8 = 4; // RFC 5104 §4.3.1
    pub const FMT_APPLICATION: u8 = 15; // RFC 4585 §6.4, used by REMB
}

/// Length of a report block (RFC 3550 §6.4.1).
pub(crate) const REPORT_BLOCK_LEN: usize = 24;

//! What the relay tells its caller: in the past tense, as plain data (JSON across the boundary to
//! Python).

use serde::Serialize;

use crate::snapshot::LegSnapshot;
use crate::spec::{LegId, SourceId, TrackId};

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A leg entered or left a stage.
    LegStage {
        /// The leg.
        leg: LegId,
        /// `path`, `handshake`, `identity`, `keys` or `media`.
        stage: &'static str,
        /// `started`, `done` or `failed`.
        outcome: &'static str,
        /// Why it failed.
        code: Option<String>,
        /// The evidence.
        detail: Option<String>,
        /// Since the leg was added.
        elapsed_ms: f64,
    },
    /// A leg's keys are agreed on and its peer is proved.
    LegSealed {
        /// The leg.
        leg: LegId,
        /// What was negotiated.
        seal: Box<SealReport>,
    },
    /// A leg's media goes over this pair now.
    LegPath {
        /// The leg.
        leg: LegId,
        /// Our end, `ip:port`.
        local: String,
        /// The peer's end, `ip:port`.
        remote: String,
    },
    /// Something about a leg that its operator may want to know; it goes on.
    LegNoted {
        /// The leg.
        leg: LegId,
        /// What.
        code: String,
        /// The evidence.
        detail: String,
    },
    /// A leg has ended.
    LegClosed {
        /// The leg.
        leg: LegId,
        /// Why.
        code: String,
        /// The evidence.
        detail: String,
        /// Its last numbers; none if it never began.
        last: Option<Box<LegSnapshot>>,
    },
    /// A source feeds a track now; a former one is superseded and should be closed by the caller.
    TrackLive {
        /// The track.
        track: TrackId,
        /// The leg or sink that feeds it.
        source: SourceId,
    },
    /// The first key frame of a track's live source arrived.
    TrackKeyFrame {
        /// The track.
        track: TrackId,
        /// The leg or sink that sent it.
        source: SourceId,
    },
    /// The live source of a track has ended; its viewers stay.
    TrackEnded {
        /// The track.
        track: TrackId,
        /// The leg or sink that fed it.
        source: SourceId,
    },
}

/// The negotiated facts of a leg. Never a key.
#[derive(Clone, Debug, Serialize)]
pub struct SealReport {
    /// `DTLS`.
    pub protocol: String,
    /// `1.2` or `1.3`.
    pub version: String,
    /// Cipher suite by its registered name.
    pub cipher: String,
    /// Key agreement group.
    pub group: Option<String>,
    /// SRTP profile by its registered name.
    pub srtp_profile: String,
    /// The admissible fingerprint that the peer's certificate matched, `sha-256 AB:…`.
    pub peer_fingerprint: String,
    /// Our certificate's fingerprint.
    pub local_fingerprint: String,
    /// Signature algorithm of the peer.
    pub peer_signature: Option<String>,
    /// Our signature algorithm.
    pub own_signature: Option<String>,
    /// Whether recorded traffic stays safe when a long-term key leaks.
    pub forward_secrecy: bool,
    /// Whether the key agreement withstands a quantum computer.
    pub post_quantum: bool,
    /// Whether the handshake needed a HelloRetryRequest.
    pub hello_retry: bool,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// Whether early data was accepted.
    pub early_data: bool,
    /// Whether Encrypted Client Hello was accepted.
    pub ech: bool,
    /// Name that the DTLS client asked for.
    pub sni: Option<String>,
    /// Application protocol agreed on (RFC 8833), if the peers spoke of one.
    pub alpn: Option<String>,
    /// End of the peer's certificate, seconds since 1970. Its fingerprint proves it, whatever its
    /// dates are (RFC 8827 §6.5).
    pub expires_unix: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_carries_its_type_in_snake_case() {
        let event = Event::LegStage {
            leg: 7,
            stage: "path",
            outcome: "failed",
            code: Some("ICE.TIMEOUT".into()),
            detail: None,
            elapsed_ms: 30_000.5,
        };
        assert_eq!(
            serde_json::to_string(&event).expect("plain data serializes"),
            r#"{"type":"leg_stage","leg":7,"stage":"path","outcome":"failed","code":"ICE.TIMEOUT","detail":null,"elapsed_ms":30000.5}"#
        );
        let event = Event::TrackLive {
            track: 1,
            source: 2,
        };
        assert_eq!(
            serde_json::to_string(&event).expect("plain data serializes"),
            r#"{"type":"track_live","track":1,"source":2}"#
        );
    }
}

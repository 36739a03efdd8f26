//! What the caller says about a leg: the agreed values of one media leg, as plain data.
//!
//! These types cross the boundary to Python as JSON. They are checked for form by
//! [`LegSpec::check`]; whether they are
//! *admissible* was decided before they came here.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::error::RelayError;
use crate::limits;

/// Chosen by the caller, never used twice.
pub type LegId = u64;
/// Chosen by the caller, never used twice.
pub type TrackId = u64;
/// Who feeds a track: the id of a leg, or the id that a sink was made with. One number space.
pub type SourceId = u64;

/// Which end of the leg this is.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegSide {
    /// We are asked: controlled by ICE, never probing.
    Server,
    /// We ask: controlling, probing the remote candidates.
    Client,
}

/// Picture or sound.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pictures: paced, with key frames.
    Video,
    /// Sound: never delayed by pictures.
    Audio,
}

/// The payload format of a track.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub enum Codec {
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// RFC 7741.
    #[serde(rename = "VP8")]
    Vp8,
    /// RFC 9628.
    #[serde(rename = "VP9")]
    Vp9,
    /// AOMedia's RTP payload format.
    #[serde(rename = "AV1")]
    Av1,
    /// RFC 7587.
    #[serde(rename = "opus")]
    Opus,
}

impl Codec {
    /// The name as SDP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::H264 => "H264",
            Codec::H265 => "H265",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::Av1 => "AV1",
            Codec::Opus => "opus",
        }
    }

    /// Whether the codec makes pictures or sound.
    pub fn kind(self) -> Kind {
        match self {
            Codec::Opus => Kind::Audio,
            _ => Kind::Video,
        }
    }
}

/// Everything that was agreed about one leg.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegSpec {
    /// The leg's id.
    pub id: LegId,
    /// Which end we are.
    pub side: LegSide,
    /// How the path is found.
    pub ice: IceSpec,
    /// How keys are agreed on.
    pub dtls: DtlsSpec,
    /// Media sections in which the peer sends.
    #[serde(default)]
    pub receive: Vec<ReceiveSpec>,
    /// Media sections in which we send.
    #[serde(default)]
    pub send: Vec<SendSpec>,
    /// Addresses of sockets that are this leg's own; empty: those of the relay. For a leg that asks:
    /// of two on one socket that ask the same server, neither end could tell the packets apart.
    #[serde(default)]
    pub own_binds: Vec<SocketAddr>,
}

/// ICE credentials of both ends and, for a client, where to knock.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceSpec {
    /// Our user fragment: what the peer's requests carry first.
    pub local_ufrag: String,
    /// Our password.
    pub local_pwd: String,
    /// The peer's user fragment.
    pub remote_ufrag: String,
    /// The peer's password.
    pub remote_pwd: String,
    /// `ip:port` of the peer; probed by a client, kept for diagnosis by a server.
    #[serde(default)]
    pub remote_candidates: Vec<SocketAddr>,
}

impl std::fmt::Debug for IceSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Passwords are secrets: they authenticate every connectivity check.
        formatter
            .debug_struct("IceSpec")
            .field("local_ufrag", &self.local_ufrag)
            .field("remote_ufrag", &self.remote_ufrag)
            .field("remote_candidates", &self.remote_candidates)
            .finish_non_exhaustive()
    }
}

/// Who starts the DTLS handshake (RFC 5763 §5).
#[derive(Copy, Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtlsSetup {
    /// We are the DTLS client.
    Active,
    /// We are the DTLS server.
    Passive,
}

/// What the handshake may come to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DtlsSpec {
    /// Our setup role.
    pub role: DtlsSetup,
    /// Lowest version: `1.2` or `1.3`.
    pub min_version: String,
    /// Highest version.
    pub max_version: String,
    /// Key agreement groups in order, joined by `:`.
    pub groups: String,
    /// SRTP profiles in order, by their registered names.
    pub srtp_profiles: Vec<String>,
    /// The admissible fingerprints: the presented certificate must match one.
    pub fingerprints: Vec<FingerprintSpec>,
    /// How long the handshake may take from its first flight.
    pub handshake_timeout_ms: u64,
}

/// One `a=fingerprint` of the peer (RFC 8122).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FingerprintSpec {
    /// Name of the hash, such as `sha-256`.
    pub algorithm: String,
    /// The digest as colon-separated hex.
    pub value: String,
}

/// Ids of RTP header extensions (RFC 8285) in one media section; absent ones were not negotiated.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`.
    #[serde(rename = "repaired-rid", skip_serializing_if = "Option::is_none")]
    pub repaired_rid: Option<u8>,
    /// Transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twcc: Option<u8>,
    /// Absolute send time.
    #[serde(rename = "abs-send-time", skip_serializing_if = "Option::is_none")]
    pub abs_send_time: Option<u8>,
    /// RFC 6464.
    #[serde(rename = "audio-level", skip_serializing_if = "Option::is_none")]
    pub audio_level: Option<u8>,
}

/// One media section in which the peer sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiveSpec {
    /// The track that it feeds.
    pub track: TrackId,
    /// Identification of the section (RFC 9143).
    pub mid: String,
    /// Picture or sound.
    pub kind: Kind,
    /// Payload format.
    pub codec: Codec,
    /// The one payload type that enters the track.
    pub payload_type: u8,
    /// Payload type of its retransmissions (RFC 4588).
    #[serde(default)]
    pub rtx_payload_type: Option<u8>,
    /// RTP clock.
    pub clock_rate: u32,
    /// Announced SSRCs; may be empty: learnt after authentication.
    #[serde(default)]
    pub ssrcs: Vec<u32>,
    /// Negotiated header extensions.
    #[serde(default)]
    pub extensions: ExtensionIds,
    /// Whether lost packets are asked for again (RFC 4585 §6.2.1).
    #[serde(default)]
    pub nack: bool,
    /// Whether key frames may be asked for (RFC 4585 §6.3.1).
    #[serde(default)]
    pub pli: bool,
    /// Whether transport-wide feedback is sent.
    #[serde(default)]
    pub twcc: bool,
}

/// One media section in which we send.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendSpec {
    /// The track that is sent.
    pub track: TrackId,
    /// Identification of the section.
    pub mid: String,
    /// Picture or sound.
    pub kind: Kind,
    /// Payload format.
    pub codec: Codec,
    /// Payload type to write.
    pub payload_type: u8,
    /// Payload type of retransmissions.
    #[serde(default)]
    pub rtx_payload_type: Option<u8>,
    /// RTP clock.
    pub clock_rate: u32,
    /// SSRC to write.
    pub ssrc: u32,
    /// SSRC of retransmissions.
    #[serde(default)]
    pub rtx_ssrc: Option<u32>,
    /// Canonical name (RFC 7022): the same for all sections of the leg.
    pub cname: String,
    /// Negotiated header extensions: `mid` and `twcc` are written.
    #[serde(default)]
    pub extensions: ExtensionIds,
    /// Whether NACKs are answered.
    #[serde(default)]
    pub nack: bool,
    /// Whether key-frame requests are taken.
    #[serde(default)]
    pub pli: bool,
}

impl LegSpec {
    /// Checks the form: bounds, payload types (RFC 3551, RFC 5761 §4), extension ids (RFC 8285
    /// §4.2), names.
    ///
    /// # Errors
    /// [`RelayError::BadSpec`] naming the first field that is wrong.
    pub fn check(&self) -> Result<(), RelayError> {
        let bad = |detail: String| Err(RelayError::BadSpec(detail));
        if self.receive.len() > limits::SECTIONS || self.send.len() > limits::SECTIONS {
            return bad(format!(
                "a leg has at most {} media sections each way",
                limits::SECTIONS
            ));
        }
        if self.ice.remote_candidates.len() > limits::REMOTE_CANDIDATES {
            return bad(format!(
                "a leg has at most {} remote candidates",
                limits::REMOTE_CANDIDATES
            ));
        }
        if !(100..=120_000).contains(&self.dtls.handshake_timeout_ms) {
            return bad("dtls.handshake_timeout_ms is not in 100..=120000".to_owned());
        }
        if self.own_binds.len() > limits::OWN_SOCKETS {
            return bad(format!(
                "a leg has at most {} sockets of its own",
                limits::OWN_SOCKETS
            ));
        }
        if self.side == LegSide::Server && !self.own_binds.is_empty() {
            return bad("only a leg that asks has sockets of its own".to_owned());
        }
        for section in &self.receive {
            check_payload_types("receive", section.payload_type, section.rtx_payload_type)?;
            check_section(
                "receive",
                &section.mid,
                section.clock_rate,
                &section.extensions,
            )?;
            if section.ssrcs.len() > limits::LEARNT_SSRCS {
                return bad(format!(
                    "receive.ssrcs holds more than {}",
                    limits::LEARNT_SSRCS
                ));
            }
        }
        for section in &self.send {
            check_payload_types("send", section.payload_type, section.rtx_payload_type)?;
            check_section(
                "send",
                &section.mid,
                section.clock_rate,
                &section.extensions,
            )?;
            if section.rtx_payload_type.is_some() != section.rtx_ssrc.is_some() {
                return bad(
                    "send.rtx_payload_type and send.rtx_ssrc come together or not at all"
                        .to_owned(),
                );
            }
            if section.cname.is_empty() || section.cname.len() > 255 {
                return bad("send.cname has 1 to 255 bytes (RFC 3550 §6.5.1)".to_owned());
            }
        }
        let ssrcs = self
            .send
            .iter()
            .flat_map(|section| [Some(section.ssrc), section.rtx_ssrc])
            .flatten();
        let mut seen = Vec::new();
        for ssrc in ssrcs {
            if seen.contains(&ssrc) {
                return bad(format!("send: SSRC {ssrc} is used twice on one leg"));
            }
            seen.push(ssrc);
        }
        Ok(())
    }
}

fn check_payload_types(field: &str, media: u8, rtx: Option<u8>) -> Result<(), RelayError> {
    // RFC 5761 §4: 64..=95 collide with RTCP packet types when both share one port.
    let admissible = |payload_type: u8| payload_type < 64 || (96..128).contains(&payload_type);
    if !admissible(media) || !rtx.is_none_or(admissible) || rtx == Some(media) {
        return Err(RelayError::BadSpec(format!(
            "{field}.payload_type {media} / rtx {rtx:?} is not a pair of RTP payload types"
        )));
    }
    Ok(())
}

fn check_section(
    field: &str,
    mid: &str,
    clock_rate: u32,
    extensions: &ExtensionIds,
) -> Result<(), RelayError> {
    // RFC 8285 §4.2: a one-byte element holds 1 to 16 bytes.
    if mid.is_empty() || mid.len() > 16 {
        return Err(RelayError::BadSpec(format!(
            "{field}.mid has 1 to 16 bytes"
        )));
    }
    if !(1_000..=192_000).contains(&clock_rate) {
        return Err(RelayError::BadSpec(format!(
            "{field}.clock_rate {clock_rate} is not an RTP clock rate"
        )));
    }
    let ids = [
        extensions.mid,
        extensions.rid,
        extensions.repaired_rid,
        extensions.twcc,
        extensions.abs_send_time,
        extensions.audio_level,
    ];
    if ids.into_iter().flatten().any(|id| id == 0) {
        return Err(RelayError::BadSpec(format!(
            "{field}.extensions: an id is 0, which is padding (RFC 8285 §4.1.1)"
        )));
    }
    Ok(())
}

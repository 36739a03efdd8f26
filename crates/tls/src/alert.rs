//! Names of TLS alerts as the IANA registry spells them (RFC 8446 §6, RFC 8447 §14).

/// The registered name of an alert, or `unregistered_alert`.
pub fn alert_name(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unregistered_alert",
    }
}

/// What an alert about our own certificate or offer most likely means, for the detail sentence.
pub(crate) fn alert_hint(number: u8) -> &'static str {
    match number {
        42 | 43 | 44 | 45 | 46 | 48 => "the peer refused our certificate",
        116 => "the peer demands a certificate",
        40 | 71 => "the peer found nothing in our offer that it accepts",
        70 => "the peer does not accept our protocol versions",
        120 => "the peer accepts none of our application protocols",
        _ => "the peer gave up",
    }
}

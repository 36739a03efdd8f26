//! The two protocol versions that may protect a leg.
//!
//! Older ones have no value here, so no configuration can ask for them: TLS 1.0 and 1.1 and
//! DTLS 1.0 are forbidden by RFC 8996. There was no DTLS 1.1.

use std::fmt;
use std::str::FromStr;

use boring::ssl::{SslContext, SslContextBuilder, SslMethod, SslVersion};

use crate::TlsError;

/// Version of TLS, or of the DTLS that corresponds to it.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub enum Version {
    /// TLS 1.2 (RFC 5246) or DTLS 1.2 (RFC 6347).
    V1_2,
    /// TLS 1.3 (RFC 8446) or DTLS 1.3 (RFC 9147).
    V1_3,
}

impl Version {
    /// The spelling used in configuration, events and documents.
    pub fn name(self) -> &'static str {
        match self {
            Version::V1_2 => "1.2",
            Version::V1_3 => "1.3",
        }
    }

    fn tls(self) -> SslVersion {
        match self {
            Version::V1_2 => SslVersion::TLS1_2,
            Version::V1_3 => SslVersion::TLS1_3,
        }
    }

    fn dtls(self) -> SslVersion {
        match self {
            Version::V1_2 => SslVersion::DTLS1_2,
            Version::V1_3 => SslVersion::DTLS1_3,
        }
    }
}

/// A context of TLS that speaks the versions from `oldest` to `newest`.
pub(crate) fn tls_context(oldest: Version, newest: Version) -> Result<SslContextBuilder, TlsError> {
    context(SslMethod::tls(), oldest, newest, Version::tls)
}

/// The same of DTLS.
pub(crate) fn dtls_context(
    oldest: Version,
    newest: Version,
) -> Result<SslContextBuilder, TlsError> {
    context(SslMethod::dtls(), oldest, newest, Version::dtls)
}

fn context(
    method: SslMethod,
    oldest: Version,
    newest: Version,
    of: fn(Version) -> SslVersion,
) -> Result<SslContextBuilder, TlsError> {
    if oldest > newest {
        return Err(TlsError::BadPolicy(
            "min_version is newer than max_version".to_owned(),
        ));
    }
    let mut context = SslContext::builder(method).map_err(TlsError::engine("make a context"))?;
    let limit = TlsError::engine("limit the versions");
    context
        .set_min_proto_version(Some(of(oldest)))
        .map_err(&limit)?;
    context
        .set_max_proto_version(Some(of(newest)))
        .map_err(&limit)?;
    Ok(context)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Version {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Version, TlsError> {
        match text {
            "1.2" => Ok(Version::V1_2),
            "1.3" => Ok(Version::V1_3),
            other => Err(TlsError::BadPolicy(format!(
                "{other:?} is not a protocol version: use \"1.2\" or \"1.3\""
            ))),
        }
    }
}

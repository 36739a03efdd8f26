//! The keyword options of the two constructors.

use std::collections::BTreeSet;

use pyo3::prelude::*;
use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, KeyDerivationRate, Lifetime, NullCipher, OptionError,
    Options, ReplayWindow, SrtcpEncryption,
};

use super::refusal::refused;

/// What Python asked for, by keyword.
pub(crate) struct Wanted<'a, 'py> {
    pub(crate) replay_window: usize,
    pub(crate) max_ssrcs: usize,
    pub(crate) ssrcs: Option<&'a Bound<'py, PyAny>>,
    pub(crate) key_derivation_rate: u32,
    pub(crate) rtp_lifetime: Option<(u64, u64)>,
    pub(crate) rtcp_lifetime: Option<(u64, u64)>,
    pub(crate) encrypted_extensions: Option<&'a Bound<'py, PyAny>>,
    pub(crate) cryptex: Option<Cryptex>,
    pub(crate) unencrypted_srtcp: bool,
    pub(crate) null_cipher: bool,
}

impl Wanted<'_, '_> {
    /// The options, or `BadOption`.
    pub(crate) fn options(&self, py: Python<'_>) -> PyResult<Options> {
        if self.encrypted_extensions.is_some() && self.cryptex.is_some() {
            return Err(refused(
                py,
                BAD_OPTION,
                "encrypted_extensions (RFC 6904) and cryptex (RFC 9335) exclude each other",
            ));
        }
        let ssrcs = self.ssrcs.map(collected::<u32>).transpose()?;
        let elements = self.encrypted_extensions.map(collected::<u8>).transpose()?;
        self.valid(ssrcs, elements)
            .map_err(|error| refused(py, error.code(), error))
    }

    fn valid(
        &self,
        ssrcs: Option<BTreeSet<u32>>,
        elements: Option<BTreeSet<u8>>,
    ) -> Result<Options, OptionError> {
        let standard = Lifetime::default();
        let of = |limit: sealcast_srtp::Limit| (limit.soft(), limit.hard());
        Ok(Options {
            replay_window: ReplayWindow::new(self.replay_window)?,
            max_ssrcs: self.max_ssrcs,
            ssrcs,
            key_derivation_rate: KeyDerivationRate::new(self.key_derivation_rate)?,
            srtcp_encryption: if self.unencrypted_srtcp {
                SrtcpEncryption::Off
            } else {
                SrtcpEncryption::Required
            },
            header_protection: match (elements, self.cryptex) {
                (Some(ids), _) => HeaderProtection::Elements(ExtensionIds::new(ids)?),
                (None, Some(cryptex)) => HeaderProtection::Cryptex(cryptex),
                (None, None) => HeaderProtection::Clear,
            },
            lifetime: Lifetime::new(
                self.rtp_lifetime.unwrap_or(of(standard.rtp)),
                self.rtcp_lifetime.unwrap_or(of(standard.rtcp)),
            )?,
            null_cipher: if self.null_cipher {
                NullCipher::ForTestsAndTools
            } else {
                NullCipher::Refused
            },
        })
    }
}

/// The code of an option that cannot be; the same as the crate's.
const BAD_OPTION: &str = OptionError::ExtensionId.code();

fn collected<T>(values: &Bound<'_, PyAny>) -> PyResult<BTreeSet<T>>
where
    T: Ord + for<'a, 'py> FromPyObject<'a, 'py, Error = PyErr>,
{
    values.try_iter()?.map(|value| value?.extract()).collect()
}

/// What a receiver does about `cryptex`.
pub(crate) fn cryptex(py: Python<'_>, word: Option<&str>) -> PyResult<Option<Cryptex>> {
    match word {
        None => Ok(None),
        Some("accepted") => Ok(Some(Cryptex::Accepted)),
        Some("required") => Ok(Some(Cryptex::Required)),
        Some(other) => Err(refused(
            py,
            BAD_OPTION,
            format!("cryptex is \"accepted\", \"required\" or None, got {other:?}"),
        )),
    }
}

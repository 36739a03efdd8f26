//! The keyword options of the two constructors.

use std::collections::BTreeSet;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use sealcast_srtp::{
    Cryptex, ExtensionIds, HeaderProtection, KeyDerivationRate, KeyReuse, Lifetime, NullCipher,
    OptionError, Options, ReplayWindow, SrtcpEncryption, MAX_SSRCS,
};

use super::refusal::refused;

/// What Python asked for, by keyword.
pub(crate) struct Wanted<'a, 'py> {
    pub(crate) replay_window: Whole,
    /// `None`: as many as are declared, but [`MAX_SSRCS`] if none or fewer are.
    pub(crate) max_ssrcs: Option<Whole>,
    pub(crate) ssrcs: Option<&'a Bound<'py, PyAny>>,
    pub(crate) key_derivation_rate: Whole,
    pub(crate) rtp_lifetime: Option<Pair>,
    pub(crate) rtcp_lifetime: Option<Pair>,
    pub(crate) encrypted_extensions: Option<&'a Bound<'py, PyAny>>,
    pub(crate) cryptex: Option<Cryptex>,
    pub(crate) unencrypted_srtcp: bool,
    pub(crate) null_cipher: bool,
    pub(crate) key_reuse: bool,
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
        let ssrcs = self.ssrcs.map(|values| collected(values, "each of ssrcs"));
        let ssrcs = ssrcs.transpose()?;
        let elements = self
            .encrypted_extensions
            .map(|values| collected(values, "each of encrypted_extensions"));
        let elements = elements.transpose()?;
        let lifetime = self.lifetime(py)?;
        let options = Options {
            max_ssrcs: match &self.max_ssrcs {
                Some(most) => most.fit(py, "max_ssrcs")?,
                None => ssrcs.as_ref().map_or(0, BTreeSet::len).max(MAX_SSRCS),
            },
            ssrcs,
            lifetime,
            srtcp_encryption: if self.unencrypted_srtcp {
                SrtcpEncryption::Off
            } else {
                SrtcpEncryption::Required
            },
            null_cipher: if self.null_cipher {
                NullCipher::ForTestsAndTools
            } else {
                NullCipher::Refused
            },
            key_reuse: if self.key_reuse {
                KeyReuse::ForTestsAndTools
            } else {
                KeyReuse::Refused
            },
            ..Options::default()
        };
        let replay_window = self.replay_window.fit(py, "replay_window")?;
        let rate = self.key_derivation_rate.fit(py, "key_derivation_rate")?;
        let header_protection = match (elements, self.cryptex) {
            (Some(ids), _) => ExtensionIds::new(ids).map(HeaderProtection::Elements),
            (None, Some(cryptex)) => Ok(HeaderProtection::Cryptex(cryptex)),
            (None, None) => Ok(HeaderProtection::Clear),
        };
        let complete = || -> Result<Options, OptionError> {
            options.sources()?;
            Ok(Options {
                replay_window: ReplayWindow::new(replay_window)?,
                key_derivation_rate: KeyDerivationRate::new(rate)?,
                header_protection: header_protection?,
                ..options
            })
        };
        complete().map_err(|error| refused(py, error.code(), error))
    }

    fn lifetime(&self, py: Python<'_>) -> PyResult<Lifetime> {
        let standard = Lifetime::default();
        let of = |limits: &Option<Pair>, name, limit: sealcast_srtp::Limit| match limits {
            Some(Pair(soft, hard)) => Ok((soft.fit(py, name)?, hard.fit(py, name)?)),
            None => PyResult::Ok((limit.soft(), limit.hard())),
        };
        Lifetime::new(
            of(&self.rtp_lifetime, "rtp_lifetime", standard.rtp)?,
            of(&self.rtcp_lifetime, "rtcp_lifetime", standard.rtcp)?,
        )
        .map_err(|error| refused(py, error.code(), error))
    }
}

/// The code of an option that cannot be; the same as the crate's.
const BAD_OPTION: &str = OptionError::ExtensionId.code();

/// A whole number of Python's, which may be of any size: what does not fit its place is refused
/// by name and not by the type that it did not fit.
pub(crate) enum Whole {
    Within(i128),
    /// Further out than any option goes.
    Beyond,
}

impl From<i128> for Whole {
    fn from(number: i128) -> Self {
        Self::Within(number)
    }
}

impl<'py> FromPyObject<'_, 'py> for Whole {
    type Error = PyErr;

    fn extract(number: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match number.extract::<i128>() {
            Ok(number) => Ok(Self::Within(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => Ok(Self::Beyond),
            Err(error) => Err(error),
        }
    }
}

/// The two limits of a key's lifetime: (soft, hard).
pub(crate) struct Pair(Whole, Whole);

impl<'py> FromPyObject<'_, 'py> for Pair {
    type Error = PyErr;

    fn extract(pair: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match pair.extract() {
            Ok((soft, hard)) => Ok(Self(soft, hard)),
            Err(error) if error.is_instance_of::<PyValueError>(pair.py()) => Err(refused(
                pair.py(),
                BAD_OPTION,
                "A key lifetime is a pair of whole numbers: soft and hard",
            )),
            Err(error) => Err(error),
        }
    }
}

impl Whole {
    /// The number as a `T`; `BadOption` with the option's name if it is none.
    pub(crate) fn fit<T: TryFrom<i128>>(&self, py: Python<'_>, name: &str) -> PyResult<T> {
        let got = match self {
            Self::Within(number) => match T::try_from(*number) {
                Ok(fits) => return Ok(fits),
                Err(_) => number.to_string(),
            },
            Self::Beyond => "one beyond 2^127".to_owned(),
        };
        let most = size_of::<T>() * 8;
        Err(refused(
            py,
            BAD_OPTION,
            format!("{name} is a whole number from 0 to 2^{most} - 1, got {got}"),
        ))
    }
}

fn collected<T>(values: &Bound<'_, PyAny>, name: &str) -> PyResult<BTreeSet<T>>
where
    T: Ord + TryFrom<i128>,
{
    let py = values.py();
    values
        .try_iter()?
        // One more than there may be says enough, however many there are.
        .take(Options::MOST_SSRCS + 1)
        .map(|value| value?.extract::<Whole>()?.fit(py, name))
        .collect()
}

/// What was asked for by the keyword `cryptex`.
pub(crate) trait Asked {
    fn asked(self, py: Python<'_>) -> PyResult<Option<Cryptex>>;
}

/// Of a sender, which protects every header that it can or none.
impl Asked for bool {
    fn asked(self, _: Python<'_>) -> PyResult<Option<Cryptex>> {
        Ok(self.then_some(Cryptex::Required))
    }
}

/// Of a receiver.
impl Asked for Option<&str> {
    fn asked(self, py: Python<'_>) -> PyResult<Option<Cryptex>> {
        match self {
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
}

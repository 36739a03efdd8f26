//! One end's certificate chain and private key.
//!
//! An identity is checked when it is made, so that a pair that cannot work never reaches a
//! handshake: the old one then stays in use. The key never leaves; there is no way to print it.

use std::fmt;

use boring::asn1::{Asn1Time, Asn1TimeRef};
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::ssl::{SslContextBuilder, SslRef};
use boring::x509::{X509Name, X509};

use crate::fingerprint::{Fingerprint, FingerprintHash};
use crate::TlsError;

/// A certificate chain, leaf first, whose key is somewhere else.
pub struct Chain {
    leaf: X509,
    intermediates: Vec<X509>,
}

impl Chain {
    /// Reads a PEM chain, leaf first.
    ///
    /// # Errors
    /// `TLS.UNREADABLE_CERTIFICATE`, `TLS.CERTIFICATE_EXPIRED`, `TLS.CERTIFICATE_NOT_YET_VALID`
    /// (by the system's clock).
    pub fn from_pem(chain: &[u8]) -> Result<Chain, TlsError> {
        let chain = Chain::read(chain)?;
        chain.check_dates()?;
        Ok(chain)
    }

    fn read(pem: &[u8]) -> Result<Chain, TlsError> {
        let mut certificates = read_certificates(pem)?.into_iter();
        let leaf = certificates.next().ok_or_else(|| {
            TlsError::UnreadableCertificate("there is no CERTIFICATE block in it".to_owned())
        })?;
        Ok(Chain {
            leaf,
            intermediates: certificates.collect(),
        })
    }

    fn check_dates(&self) -> Result<(), TlsError> {
        let (not_before, not_after) = (self.leaf.not_before(), self.leaf.not_after());
        let now = Asn1Time::days_from_now(0).map_err(TlsError::engine("read the time"))?;
        if is_before(not_after, &now)? {
            return Err(TlsError::CertificateExpired {
                not_after: not_after.to_string(),
            });
        }
        if is_before(&now, not_before)? {
            return Err(TlsError::CertificateNotYetValid {
                not_before: not_before.to_string(),
            });
        }
        Ok(())
    }

    /// Makes this what every connection of a context shows.
    pub(crate) fn install_in_context(
        &self,
        context: &mut SslContextBuilder,
    ) -> Result<(), TlsError> {
        let mut install = || -> Result<(), ErrorStack> {
            context.set_certificate(&self.leaf)?;
            for certificate in &self.intermediates {
                context.add_extra_chain_cert(certificate.clone())?;
            }
            Ok(())
        };
        install().map_err(TlsError::engine("install the certificate"))
    }
}

/// Shows the leaf's fingerprint only.
impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Fingerprint::of(&self.leaf, FingerprintHash::Sha256) {
            Ok(print) => write!(f, "Chain({print})"),
            Err(_) => f.write_str("Chain"),
        }
    }
}

/// A certificate chain, leaf first, and the leaf's private key.
pub struct Identity {
    chain: Chain,
    key: PKey<Private>,
}

impl Identity {
    /// A fresh self-signed ECDSA P-256 certificate for one media leg, valid for a day.
    ///
    /// The fingerprint in the signalling is its only proof (RFC 8827 §6.5); a name in it would
    /// link calls, so all of them carry the same one.
    pub fn ephemeral() -> Result<Identity, TlsError> {
        make_ephemeral().map_err(TlsError::engine("make a certificate"))
    }

    /// Reads a PEM chain, leaf first, and its unencrypted PEM key.
    ///
    /// # Errors
    /// `TLS.UNREADABLE_CERTIFICATE`, `TLS.UNREADABLE_KEY`, `TLS.KEY_MISMATCH`,
    /// `TLS.CERTIFICATE_EXPIRED`, `TLS.CERTIFICATE_NOT_YET_VALID` (by the system's clock).
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
        let chain = Chain::read(chain)?;
        // A passphrase callback that gives none: an encrypted key is an error, never a prompt.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(|stack| {
            TlsError::UnreadableKey(format!("it must be one unencrypted PEM key ({stack})"))
        })?;
        let public = chain
            .leaf
            .public_key()
            .map_err(|stack| TlsError::UnreadableCertificate(stack.to_string()))?;
        if !public.public_eq(&key) {
            return Err(TlsError::KeyMismatch);
        }
        chain.check_dates()?;
        Ok(Identity { chain, key })
    }

    /// Fingerprint of the leaf certificate.
    pub fn fingerprint(&self, hash: FingerprintHash) -> Fingerprint {
        Fingerprint::of(&self.chain.leaf, hash)
            .expect("hashing a parsed certificate fails only when memory is exhausted")
    }

    /// Makes this the identity of every connection of a context.
    pub(crate) fn install_in_context(
        &self,
        context: &mut SslContextBuilder,
    ) -> Result<(), TlsError> {
        self.chain.install_in_context(context)?;
        context
            .set_private_key(&self.key)
            .map_err(TlsError::engine("install the key"))
    }

    /// Makes this the identity of one connection.
    pub(crate) fn install(&self, ssl: &mut SslRef) -> Result<(), TlsError> {
        let mut install = || -> Result<(), ErrorStack> {
            ssl.set_certificate(&self.chain.leaf)?;
            for certificate in &self.chain.intermediates {
                ssl.add_chain_cert(certificate)?;
            }
            ssl.set_private_key(&self.key)
        };
        install().map_err(TlsError::engine("install the certificate"))
    }
}

/// Shows the fingerprint only.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint(FingerprintHash::Sha256))
    }
}

/// All certificates of a PEM text, in order.
pub(crate) fn read_certificates(pem: &[u8]) -> Result<Vec<X509>, TlsError> {
    X509::stack_from_pem(pem)
        .map_err(|stack| TlsError::UnreadableCertificate(format!("not readable as PEM ({stack})")))
}

fn is_before(earlier: &Asn1TimeRef, later: &Asn1TimeRef) -> Result<bool, TlsError> {
    earlier
        .compare(later)
        .map(std::cmp::Ordering::is_lt)
        .map_err(TlsError::engine("compare two dates"))
}

fn make_ephemeral() -> Result<Identity, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "sealcast media leg")?;
    let name = name.build();
    // 127 bits keep the number positive and within 20 octets (RFC 5280 §4.1.2.2).
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    let now = unix_now();

    let mut certificate = X509::builder()?;
    // The field holds version minus one: 2 is X.509 v3.
    certificate.set_version(2)?;
    certificate.set_serial_number(&serial)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(&key)?;
    // An hour back: the peer's clock may be slow.
    let not_before = Asn1Time::from_unix(now - 3_600)?;
    let not_after = Asn1Time::from_unix(now + 86_400)?;
    certificate.set_not_before(&not_before)?;
    certificate.set_not_after(&not_after)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    Ok(Identity {
        chain: Chain {
            leaf: certificate.build(),
            intermediates: Vec::new(),
        },
        key,
    })
}

fn unix_now() -> libc::time_t {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 counts as 1970: the fingerprint, not the date, is what a peer checks.
    since_epoch.map_or(0, |duration| {
        libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX)
    })
}

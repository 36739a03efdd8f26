//! One TLS connection that we open, sans-IO: bytes in, bytes out.
//!
//! **What it does.** TLS 1.3 (RFC 8446), and 1.2 with ECDHE and an AEAD; the server's chain is
//! judged by BoringSSL against the roots that were given and must carry the expected name; our own
//! certificate is shown when the server asks, signed by a key that is here or by one that is not
//! ([`ClientIdentity::Outside`]). It says in one code why it failed, and what alerts passed.
//!
//! **What it does not.** It opens no socket and has no clock, resumes no session, sends no early
//! data, renegotiates nothing, and trusts no root that was not given to it.
//!
//! **What the caller must still do.** Send what [`TlsClient::take`] gives, after every call; read
//! ([`TlsClient::read`]) until nothing comes before handing in more; answer
//! [`TlsClient::signature_wanted`]; limit the time of the handshake. In 1.3 a server judges our
//! certificate after our side is open, so a refusal arrives with the first read.
//!
//! ```text
//! us                                     server
//! ClientHello                          →
//!                                      ← ServerHello … Certificate … Finished
//!        judged here; the signature asked for
//! Certificate, CertificateVerify, Finished →
//! Open                                   judges our certificate, may answer with an alert
//! ```

mod failure;
mod pipe;
mod signing;

use std::sync::{Arc, OnceLock};

use boring::ex_data::Index;
use boring::ssl::{
    Error, ErrorCode, Ssl, SslAlert, SslContext, SslMode, SslRef, SslSessionCacheMode, SslStream,
    SslVerifyError, SslVerifyMode,
};

pub use failure::Failure;
pub use signing::SignatureWanted;

use crate::ffi::{self, CertificatePurpose};
use crate::{
    codes, facts, suites, version, witness, Authority, Chain, Facts, Identity, PeerName, TlsError,
    Version,
};
use pipe::Pipe;

/// The largest plaintext of a record (RFC 8446 §5.1).
const RECORD_PLAINTEXT: usize = 16_384;

/// Whom we are, for a server that asks.
#[derive(Clone, Debug)]
pub enum ClientIdentity {
    /// Nobody.
    Nobody,
    /// A certificate with its key.
    Held(Arc<Identity>),
    /// A certificate whose key somebody else holds: see [`TlsClient::signature_wanted`].
    Outside(Arc<Chain>),
}

/// What a connection may agree to.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Oldest admissible version.
    pub min_version: Version,
    /// Newest admissible version.
    pub max_version: Version,
    /// Key exchange groups in order, joined by `:`. If 1.2 is admitted, the list also limits the
    /// curves of certificates.
    pub groups: String,
    /// Application protocols to ask for, in order; empty asks for none.
    pub alpn: Vec<String>,
    /// Whose word counts for the server, and the name that it must carry.
    pub server: Arc<Authority>,
    /// The name to ask for (RFC 6066 §3); `None` takes the expected DNS name, if that is what it
    /// is.
    pub sni: Option<String>,
    /// Whom we are.
    pub identity: ClientIdentity,
}

/// Where a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientState {
    /// The handshake is on its way.
    Handshake,
    /// Bytes may go both ways.
    Open,
    /// It ended as it should: the server's close_notify came.
    Closed,
    /// It is over.
    Failed(Failure),
}

/// One TLS connection that we open.
pub struct TlsClient {
    stream: SslStream<Pipe>,
    state: ClientState,
    facts: Option<Facts>,
    shows_certificate: bool,
    has_said_goodbye: bool,
}

impl TlsClient {
    /// Begins: the ClientHello waits in [`TlsClient::take`].
    ///
    /// # Errors
    /// `TLS.BAD_POLICY`.
    pub fn new(config: &ClientConfig) -> Result<TlsClient, TlsError> {
        let context = context(config)?;
        let engine = TlsError::engine("make a TLS connection");
        let mut ssl = Ssl::new(&context).map_err(&engine)?;
        witness::attach(&mut ssl);
        let sni = match (&config.sni, config.server.name()) {
            (Some(name), _) => Some(name.as_str()),
            (None, Some(PeerName::Dns(name))) => Some(name.as_str()),
            (None, _) => None,
        };
        if let Some(name) = sni {
            ssl.set_hostname(name).map_err(|_| {
                TlsError::BadPolicy(format!("{name:?} is not a name that can be asked for"))
            })?;
        }
        ssl.set_ex_data(
            expectation(),
            Expectation {
                server: Arc::clone(&config.server),
                refusal: None,
            },
        );
        let stream = SslStream::new(ssl, Pipe::default()).map_err(&engine)?;
        let mut client = TlsClient {
            stream,
            state: ClientState::Handshake,
            facts: None,
            shows_certificate: !matches!(config.identity, ClientIdentity::Nobody),
            has_said_goodbye: false,
        };
        client.shake();
        Ok(client)
    }

    /// Takes what the server sent, in pieces of any size.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.is_over() {
            return;
        }
        self.stream.get_mut().arrive(bytes);
        self.shake();
    }

    /// The server's bytes have ended.
    pub fn receive_end(&mut self) {
        if self.is_over() {
            return;
        }
        self.stream.get_mut().end();
        self.shake();
    }

    /// What is to be sent now, in order.
    pub fn take(&mut self) -> Vec<u8> {
        self.stream.get_mut().depart()
    }

    /// Up to `most` bytes of the server's plaintext; none when nothing more is there. Reading is
    /// what notices the end: afterwards look at [`TlsClient::state`].
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let mut plain = Vec::new();
        while plain.len() < most && self.state == ClientState::Open {
            let begun = plain.len();
            plain.resize(begun + RECORD_PLAINTEXT.min(most - begun), 0);
            match self.stream.ssl_read(&mut plain[begun..]) {
                Ok(len) => plain.truncate(begun + len),
                Err(error) => {
                    plain.truncate(begun);
                    match error.code() {
                        ErrorCode::WANT_READ => break,
                        ErrorCode::ZERO_RETURN => self.state = ClientState::Closed,
                        _ => self.fail(&error),
                    }
                }
            }
        }
        plain
    }

    /// Seals `plain`.
    ///
    /// # Errors
    /// `TLS.NOT_OPEN` before the handshake is over, after [`TlsClient::close`] and after the end.
    pub fn write(&mut self, plain: &[u8]) -> Result<(), TlsError> {
        if self.has_said_goodbye {
            return Err(TlsError::NotOpen);
        }
        let mut rest = plain;
        while !rest.is_empty() {
            if self.state != ClientState::Open {
                return Err(TlsError::NotOpen);
            }
            match self.stream.ssl_write(rest) {
                Ok(len) => rest = &rest[len..],
                // The pipe always has room, so this is no "later" but an end.
                Err(error) => self.fail(&error),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes from us (close_notify, RFC 8446 §6.1). The server may still
    /// send. Before the handshake is over it ends the connection.
    pub fn close(&mut self) {
        if self.is_over() || self.has_said_goodbye {
            return;
        }
        self.has_said_goodbye = true;
        if self.state == ClientState::Handshake {
            self.finish(Failure::new(
                codes::TLS_NOT_OPEN,
                "we gave up before the handshake was over",
            ));
            return;
        }
        // The result says whether the server's close_notify is here too; reading will tell.
        let _ = self.stream.shutdown();
    }

    /// The signature that the handshake waits for, for [`ClientIdentity::Outside`].
    pub fn signature_wanted(&self) -> Option<&SignatureWanted> {
        match self.state {
            ClientState::Handshake => signing::wanted(self.stream.ssl()),
            _ => None,
        }
    }

    /// The signature that was wanted; without one that is wanted it does nothing.
    pub fn sign(&mut self, signature: &[u8]) {
        if self.signature_wanted().is_some() {
            signing::answer(self.stream.ssl_mut(), Some(signature.to_vec()));
            self.shake();
        }
    }

    /// There will be no signature. The server is told internal_error (RFC 8446 §6.2).
    pub fn decline_to_sign(&mut self, why: &str) {
        const INTERNAL_ERROR: u8 = 80;
        if self.signature_wanted().is_some() {
            signing::answer(self.stream.ssl_mut(), None);
            ffi::send_fatal_alert(self.stream.ssl_mut(), INTERNAL_ERROR);
            self.finish(Failure::new(codes::TLS_SIGNER_FAILED, why));
        }
    }

    /// Where the connection is.
    pub fn state(&self) -> &ClientState {
        &self.state
    }

    /// What was negotiated, once the handshake is over.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }

    fn is_over(&self) -> bool {
        matches!(self.state, ClientState::Closed | ClientState::Failed(_))
    }

    /// Takes the handshake as far as it goes.
    fn shake(&mut self) {
        if self.state != ClientState::Handshake {
            return;
        }
        match self.stream.connect() {
            Ok(()) => {
                self.facts = Some(facts::read(self.stream.ssl(), "TLS"));
                self.state = ClientState::Open;
            }
            Err(error) => match error.code() {
                ErrorCode::WANT_READ | ErrorCode::WANT_PRIVATE_KEY_OPERATION => {}
                _ => self.fail(&error),
            },
        }
    }

    fn fail(&mut self, error: &Error) {
        let ssl = self.stream.ssl();
        let refused = ssl
            .ex_data(expectation())
            .and_then(|expectation| expectation.refusal.clone());
        let is_open = self.state == ClientState::Open;
        let first = self.stream.get_ref().first();
        self.finish(
            refused
                .unwrap_or_else(|| failure::judge(error, first, is_open, self.shows_certificate)),
        );
    }

    fn finish(&mut self, failure: Failure) {
        self.state = ClientState::Failed(failure.with_alerts(self.stream.ssl()));
        self.stream.get_mut().discard();
    }
}

/// Shows where it is, and nothing that was carried.
impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsClient")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

fn context(config: &ClientConfig) -> Result<SslContext, TlsError> {
    let mut context = version::tls_context(config.min_version, config.max_version)?;
    suites::install_own_signatures(&mut context)?;
    suites::install(&mut context, &config.groups)?;
    match &config.identity {
        ClientIdentity::Nobody => {}
        ClientIdentity::Held(identity) => identity.install_in_context(&mut context)?,
        ClientIdentity::Outside(chain) => {
            chain.install_in_context(&mut context)?;
            signing::install(&mut context);
        }
    }
    if !config.alpn.is_empty() {
        let offer = protocol_list(&config.alpn)?;
        context
            .set_alpn_protos(&offer)
            .map_err(TlsError::engine("set the application protocols"))?;
    }
    // Every connection proves both ends afresh.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    context.set_custom_verify_callback(SslVerifyMode::PEER, verify);
    witness::watch(&mut context);
    Ok(context.build())
}

/// A ProtocolNameList (RFC 7301 §3.1): each name with a length octet before it.
fn protocol_list(names: &[String]) -> Result<Vec<u8>, TlsError> {
    let mut list = Vec::new();
    for name in names {
        let len = u8::try_from(name.len()).ok().filter(|len| *len > 0);
        let len = len.ok_or_else(|| {
            TlsError::BadPolicy(format!("{name:?} is not the name of a protocol"))
        })?;
        list.push(len);
        list.extend_from_slice(name.as_bytes());
    }
    Ok(list)
}

/// What the server's certificate is held against, and what came of it.
struct Expectation {
    server: Arc<Authority>,
    refusal: Option<Failure>,
}

fn expectation() -> Index<Ssl, Expectation> {
    static INDEX: OnceLock<Index<Ssl, Expectation>> = OnceLock::new();
    *INDEX.get_or_init(|| {
        Ssl::new_ex_index().expect("an ex-data index fails only when memory is exhausted")
    })
}

/// The verification callback of every client context. Without a certificate to judge, or an
/// expectation to judge it by, nobody is admitted.
fn verify(ssl: &mut SslRef) -> Result<(), SslVerifyError> {
    const NOTHING_TO_JUDGE: Result<(), SslVerifyError> =
        Err(SslVerifyError::Invalid(SslAlert::BAD_CERTIFICATE));
    let Some(certificate) = ssl.peer_certificate() else {
        return NOTHING_TO_JUDGE;
    };
    let Some(expected) = ssl.ex_data(expectation()) else {
        return NOTHING_TO_JUDGE;
    };
    let verdict = expected.server.judge(
        &certificate,
        ssl.peer_cert_chain(),
        CertificatePurpose::Server,
    );
    let Err(distrust) = verdict else {
        return Ok(());
    };
    if let Some(expected) = ssl.ex_data_mut(expectation()) {
        expected.refusal = Some(Failure::of_server(&distrust));
    }
    Err(SslVerifyError::Invalid(distrust.alert))
}

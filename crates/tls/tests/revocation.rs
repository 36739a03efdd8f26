//! Revoked certificates at a door, doors that only ask for one, and tickets that outlive a context.

mod authority;
mod door;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use authority::{Authority, Issued, Order, Usage};
use boring::ssl::{
    Ssl, SslContext, SslMethod, SslSession, SslSessionCacheMode, SslStream, SslVerifyMode,
    SslVersion,
};
use door::{meet, policy};
use sealcast_tls::server::{self, CertificateId, ClientAuth, HandshakeFailure, Revoked};
use sealcast_tls::Facts;

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// A root, an issuing authority below it, and doors that trust the root.
struct Venue {
    root: Authority,
    issuing: Authority,
    door: Issued,
    revoked: Arc<Revoked>,
}

impl Venue {
    fn new() -> Venue {
        let root = Authority::new("Venue root");
        let issuing = Authority(root.issue(&Order {
            serial: 0x155,
            ..Order::new("Venue clients", Usage::Authority)
        }));
        let door = root.issue(&Order::new("media.venue.example", Usage::Server));
        Venue {
            root,
            issuing,
            door,
            revoked: Arc::default(),
        }
    }

    fn demanding(&self) -> SslContext {
        let roots_pem = self.root.roots_pem();
        self.context(ClientAuth::Required { roots_pem })
    }

    fn asking(&self) -> SslContext {
        let roots_pem = self.root.roots_pem();
        self.context(ClientAuth::Optional { roots_pem })
    }

    fn context(&self, client_auth: ClientAuth) -> SslContext {
        server::context(&policy(client_auth), &self.door.identity(), &self.revoked)
            .expect("a valid policy")
    }

    fn encoder(&self, serial: u32) -> Client {
        let issued = self.issuing.issue(&Order {
            serial,
            ..Order::new("encoder", Usage::Client)
        });
        Client::new(vec![issued, self.issuing.0.clone()])
    }

    /// Revokes by what a door said of a certificate's chain: the leaf is 0, its issuer 1.
    fn revoke(&self, facts: &Facts, place: usize) {
        let chain = &facts.peer.as_ref().expect("a certificate").chain;
        self.revoke_ids(&[&chain[place]]);
    }

    fn revoke_ids(&self, ids: &[&str]) {
        let parse = |id: &&str| id.parse::<CertificateId>().expect("an id");
        self.revoked
            .replace(ids.iter().map(parse).collect::<HashSet<_>>());
    }
}

/// A client with a chain (the leaf with its key first), or with none.
#[derive(Clone)]
struct Client {
    chain: Vec<Issued>,
    version: SslVersion,
    heard: Arc<Mutex<String>>,
}

impl Client {
    fn new(chain: Vec<Issued>) -> Client {
        Client {
            chain,
            version: SslVersion::TLS1_3,
            heard: Arc::default(),
        }
    }

    fn only(mut self, version: SslVersion) -> Client {
        self.version = version;
        self
    }

    /// What went wrong for it, in its engine's words.
    fn heard(&self) -> String {
        self.heard.lock().expect("no panic before").clone()
    }

    fn context(&self, keep: Option<Arc<Mutex<Option<SslSession>>>>) -> SslContext {
        let mut context = SslContext::builder(SslMethod::tls()).expect("a context");
        context.set_verify(SslVerifyMode::NONE);
        context
            .set_min_proto_version(Some(self.version))
            .expect("a version");
        context
            .set_max_proto_version(Some(self.version))
            .expect("a version");
        if let Some((leaf, issuers)) = self.chain.split_first() {
            context
                .set_certificate(&leaf.certificate)
                .expect("a certificate");
            context.set_private_key(&leaf.key).expect("a key");
            for issuer in issuers {
                context
                    .add_extra_chain_cert(issuer.certificate.clone())
                    .expect("a certificate");
            }
        }
        if let Some(keep) = keep {
            context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
            context.set_new_session_callback(move |_, session| {
                *keep.lock().expect("no panic before") = Some(session);
            });
        }
        context.build()
    }

    /// One connection, one message.
    fn call(&self, context: &SslContext, session: Option<SslSession>, address: SocketAddr) {
        let mut ssl = Ssl::new(context).expect("a connection");
        if let Some(session) = session {
            // SAFETY: the session was made by a connection of this same context.
            unsafe { ssl.set_session(&session) }.expect("a session");
        }
        let socket = TcpStream::connect(address).expect("the door listens");
        let mut stream = SslStream::new(ssl, socket).expect("a stream");
        let outcome = stream
            .connect()
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let sent = stream.write_all(b"hello");
                let heard = stream.read(&mut [0; 64]);
                sent.and(heard).map_err(|error| error.to_string())
            });
        if let Err(error) = outcome {
            *self.heard.lock().expect("no panic before") = error;
        }
    }

    fn visit(&self, door: &SslContext) -> Result<Facts, HandshakeFailure> {
        let (client, context) = (self.clone(), self.context(None));
        meet(door, move |address| client.call(&context, None, address))
    }

    /// Visits the first door, then the second with the session of the first.
    fn visit_again(&self, doors: [&SslContext; 2]) -> [Facts; 2] {
        let kept = Arc::<Mutex<Option<SslSession>>>::default();
        let context = self.context(Some(Arc::clone(&kept)));
        doors.map(|door| {
            let (client, context, kept) = (self.clone(), context.clone(), Arc::clone(&kept));
            let outcome = meet(door, move |address| {
                let session = kept.lock().expect("no panic before").take();
                client.call(&context, session, address);
            });
            outcome.unwrap_or_else(|failure| panic!("refused: {failure:?}"))
        })
    }
}

fn admitted(outcome: Result<Facts, HandshakeFailure>) -> Facts {
    outcome.unwrap_or_else(|failure| panic!("refused: {failure:?}"))
}

fn refused(outcome: Result<Facts, HandshakeFailure>) -> HandshakeFailure {
    outcome.expect_err("must be refused")
}

#[test]
fn a_revoked_leaf_is_refused_by_doors_that_stood_open_before() {
    for version in VERSIONS {
        let venue = Venue::new();
        let door = venue.demanding();
        let encoder = venue.encoder(0x0A11).only(version);
        let facts = admitted(encoder.visit(&door));
        let peer = facts.peer.as_ref().expect("a certificate");
        assert_eq!(peer.chain.len(), 2, "leaf and issuing authority");
        assert!(peer.chain[0].ends_with(":a11"), "{:?}", peer.chain);
        assert!(peer.not_before_unix < peer.not_after_unix);

        venue.revoke(&facts, 0);
        let failure = refused(encoder.visit(&door));
        assert_eq!(failure.code, "TLS.CERTIFICATE_REVOKED");
        assert!(
            failure.detail.contains("CN=encoder"),
            "the operator is told who it was: {}",
            failure.detail
        );
        let heard = encoder.heard();
        assert!(heard.contains("CERTIFICATE_REVOKED"), "{heard}");
        // Another one of the same authority still comes in, also by the same serial of another.
        admitted(venue.encoder(0x0A12).only(version).visit(&door));
        let elsewhere = Authority(venue.root.issue(&Order {
            serial: 0x156,
            ..Order::new("Venue more clients", Usage::Authority)
        }));
        let namesake = elsewhere.issue(&Order {
            serial: 0x0A11,
            ..Order::new("encoder", Usage::Client)
        });
        let namesake = Client::new(vec![namesake, elsewhere.0.clone()]);
        admitted(namesake.only(version).visit(&door));

        venue.revoke_ids(&[]);
        admitted(encoder.visit(&door));
    }
}

#[test]
fn everything_below_a_revoked_authority_is_refused() {
    for version in VERSIONS {
        let venue = Venue::new();
        let door = venue.demanding();
        let encoder = venue.encoder(1).only(version);
        venue.revoke(&admitted(encoder.visit(&door)), 1);
        for serial in [1, 2] {
            let failure = refused(venue.encoder(serial).only(version).visit(&door));
            assert_eq!(failure.code, "TLS.CERTIFICATE_REVOKED");
        }
    }
}

#[test]
fn what_is_wrong_beside_is_told_before_the_revocation() {
    let venue = Venue::new();
    let door = venue.demanding();
    venue.revoke(&admitted(venue.encoder(7).visit(&door)), 0);
    let expired = venue.issuing.issue(&Order {
        serial: 7,
        from_day: -3,
        to_day: -1,
        ..Order::new("encoder", Usage::Client)
    });
    let expired = Client::new(vec![expired, venue.issuing.0.clone()]);
    assert_eq!(
        refused(expired.visit(&door)).code,
        "TLS.CERTIFICATE_EXPIRED"
    );
}

#[test]
fn a_door_that_only_asks_serves_who_shows_none_and_judges_who_shows_one() {
    for version in VERSIONS {
        let venue = Venue::new();
        let door = venue.asking();
        let nobody = Client::new(Vec::new()).only(version);
        assert_eq!(admitted(nobody.visit(&door)).peer, None);
        let known = venue.encoder(3).only(version);
        let facts = admitted(known.visit(&door));
        let peer = facts.peer.as_ref().expect("a certificate");
        assert_eq!(peer.subject, "CN=encoder");

        let stranger = Authority::new("Elsewhere").issue(&Order::new("x", Usage::Client));
        let stranger = Client::new(vec![stranger]).only(version);
        assert_eq!(refused(stranger.visit(&door)).code, "TLS.UNKNOWN_CA");
        let server = Client::new(vec![venue.door.clone()]).only(version);
        assert_eq!(refused(server.visit(&door)).code, "TLS.WRONG_USAGE");
        venue.revoke(&facts, 0);
        assert_eq!(refused(known.visit(&door)).code, "TLS.CERTIFICATE_REVOKED");
    }
}

#[test]
fn a_door_that_asks_for_certificates_never_resumes() {
    for version in VERSIONS {
        let venue = Venue::new();
        for door in [venue.asking(), venue.demanding()] {
            let seen = venue
                .encoder(4)
                .only(version)
                .visit_again([&door, &venue.demanding()]);
            let again = venue.encoder(4).only(version).visit_again([&door, &door]);
            for facts in seen.iter().chain(&again) {
                assert!(!facts.resumed && facts.peer.is_some(), "{version:?}");
            }
        }
    }
}

#[test]
fn a_ticket_of_a_context_that_was_replaced_resumes_nothing() {
    for version in VERSIONS {
        let venue = Venue::new();
        let (old, new) = (
            venue.context(ClientAuth::None),
            venue.context(ClientAuth::None),
        );
        let nobody = Client::new(Vec::new()).only(version);
        let [_, again] = nobody.visit_again([&old, &old]);
        assert!(again.resumed, "the client does resume: {version:?}");
        let [_, after] = nobody.visit_again([&old, &new]);
        assert!(!after.resumed, "{version:?}");
        assert!(after.own_sha256.is_some(), "it saw the certificate anew");
    }
}

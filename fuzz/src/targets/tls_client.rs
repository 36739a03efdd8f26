//! One TLS client and a stranger's bytes: it never opens, says one code, and lets nothing out.

use std::sync::{Arc, OnceLock};

use sealcast_tls::client::{ClientConfig, ClientIdentity, ClientState, TlsClient};
use sealcast_tls::{Authority, PeerName, Version};

use crate::input::push_counted;
use crate::{Input, Target};

pub(crate) const TARGET: Target = Target {
    name: "tls_client",
    run,
    seeds,
};

/// A root whose key nobody has.
const ROOT: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBdzCCAR2gAwIBAgIUZ0uGLJGRdRSHD8HaQV1tdwOM6xEwCgYIKoZIzj0EAwIw\n\
ETEPMA0GA1UEAwwGbm9ib2R5MB4XDTI2MTEyMTExMDExNFoXDTM2MTExODExMDEx\n\
NFowETEPMA0GA1UEAwwGbm9ib2R5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n\
Vfdk+X/0uweCMxEqfVovbiD/L2Ur9o50TKgZ0pMWlU368Qzzv+SdeHN7ZZ7hyXUV\n\
WPKYdMBV86dSnd12CiIikaNTMFEwHQYDVR0OBBYEFLh6ZoOUtmXCacizkDTV3mI4\n\
YMkDMB8GA1UdIwQYMBaAFLh6ZoOUtmXCacizkDTV3mI4YMkDMA8GA1UdEwEB/wQF\n\
MAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJaf2XBHdxIfMP6Y61hzycwYEQqYQj81\n\
YASlUqB1uY0BAiA+Dmp8argdyHzhQy+JICPB1Gi79MjVging6QFnYxLjvQ==\n\
-----END CERTIFICATE-----";

/// The largest plaintext that one read may give.
const MOST: usize = 65_536;

fn config() -> &'static ClientConfig {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let name = PeerName::Dns("media.venue.example".to_owned());
        let server = Authority::from_pem(ROOT.as_bytes(), Some(name));
        ClientConfig {
            min_version: Version::V1_2,
            max_version: Version::V1_3,
            groups: "X25519MLKEM768:X25519:P-256".to_owned(),
            alpn: Vec::new(),
            server: Arc::new(server.expect("a root")),
            sni: None,
            identity: ClientIdentity::Nobody,
        }
    })
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut client = TlsClient::new(config()).expect("a valid configuration");
    assert!(!client.take().is_empty(), "the ClientHello comes first");
    while !input.is_empty() {
        client.receive(input.counted_piece());
        assert!(
            client.read(MOST).is_empty(),
            "a stranger says nothing to us"
        );
        let _ = client.take();
        assert_ne!(client.state(), &ClientState::Open, "a stranger has no key");
        assert!(client.facts().is_none());
    }
    client.receive_end();
    match client.state() {
        ClientState::Failed(failure) => assert!(failure.code.starts_with("TLS.")),
        other => panic!("{other:?} after the end"),
    }
    assert!(client.write(b"secret").is_err());
    assert!(client.take().len() < 64, "an alert at most");
}

/// What servers say first: a ServerHello of each version, an alert, a HelloRetryRequest, HTTP.
fn seeds() -> Vec<Vec<u8>> {
    let hello = |version: &[u8]| {
        let mut body = vec![0x03, 0x03];
        body.extend([0x5a; 32]);
        body.push(0);
        body.extend([0x13, 0x01, 0]);
        body.extend([0, 6, 0, 43, 0, 2]);
        body.extend(version);
        let mut message = vec![2, 0, 0, body.len() as u8];
        message.extend(body);
        let mut record = vec![22, 3, 3, 0, message.len() as u8];
        record.extend(message);
        record
    };
    let pieces: [&[&[u8]]; 4] = [
        &[&hello(&[3, 4]), &[20, 3, 3, 0, 1, 1]],
        &[&hello(&[3, 3])],
        &[&[21, 3, 3, 0, 2, 2, 40]],
        &[b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ];
    let mut seeds = Vec::new();
    for pieces in pieces {
        let mut seed = Vec::new();
        for piece in pieces {
            push_counted(&mut seed, piece);
        }
        seeds.push(seed);
    }
    seeds
}

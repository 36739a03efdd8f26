//! The TLS stream by itself, both sides of it over loopback.

mod kit;

use std::io::IoSlice;
use std::sync::Arc;

use boring::ssl::Ssl;
use kit::Ca;
use sealcast_front::{Limits, Role, TlsStream};
use sealcast_tls::server::{context, ClientAuth, ServerPolicy};
use sealcast_tls::{Identity, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Numbers that repeat from run to run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}

async fn pair(version: Version) -> (TlsStream, TlsStream) {
    let server = Ca::new("authority").server("localhost");
    let policy = ServerPolicy {
        min_version: version,
        max_version: version,
        groups: "X25519".to_owned(),
        alpn: Vec::new(),
        client_auth: ClientAuth::None,
    };
    let identity = Identity::from_pem(&server.chain, &server.key).expect("a pair that fits");
    let server = context(&policy, &identity, &Arc::default()).expect("a policy that holds");
    let client = boring::ssl::SslContext::builder(boring::ssl::SslMethod::tls())
        .expect("a client context")
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (called, calling) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let limits = Limits::default();
    let stream = |context, role, socket| {
        TlsStream::new(Ssl::new(context).expect("memory"), role, socket, &limits).expect("memory")
    };
    let mut server = stream(&server, Role::Server, called.expect("a connection").0);
    let mut client = stream(&client, Role::Client, calling.expect("a connection"));
    let (one, other) = tokio::join!(server.handshake(), client.handshake());
    one.expect("a handshake");
    other.expect("a handshake");
    assert!(server.first_bytes().is_empty());
    (server, client)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| (index ^ index >> 8 ^ index >> 16) as u8)
        .collect()
}

/// Writes in slices of all sizes, flushing now and then.
async fn write_all(stream: &mut TlsStream, bytes: &[u8], numbers: &mut Numbers) {
    let mut done = 0;
    while done < bytes.len() {
        let mut slices = Vec::new();
        let mut end = done;
        for _ in 0..=numbers.below(5) {
            let limit = [1, 300, 9_000, 20_000, 200_000][numbers.below(5)];
            let len = numbers.below(limit).min(bytes.len() - end);
            slices.push(IoSlice::new(&bytes[end..end + len]));
            end += len;
        }
        done += stream
            .write_vectored(&slices)
            .await
            .expect("bytes are taken");
        if numbers.below(10) == 0 {
            stream.flush().await.expect("bytes leave");
        }
    }
    stream.flush().await.expect("bytes leave");
}

async fn read_all(stream: &mut TlsStream, len: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let mut part = vec![0; 1 + numbers.below(50_000)];
        let len = stream.read(&mut part).await.expect("bytes come");
        assert!(len > 0, "the stream ended after {} bytes", all.len());
        all.extend_from_slice(&part[..len]);
    }
    all
}

#[tokio::test]
async fn bytes_pass_both_ways_at_once_whatever_the_sizes_of_slices_and_reads() {
    for version in [Version::V1_2, Version::V1_3] {
        for seed in 1..6 {
            let (server, client) = pair(version).await;
            let sent = pattern(3_000_000);
            let work = |stream: TlsStream, seed: u64| {
                let sent = sent.clone();
                async move {
                    let traffic = stream.traffic();
                    let (mut reading, mut writing) = tokio::io::split(stream);
                    let writer = async {
                        let mut numbers = Numbers(seed);
                        let mut done = 0;
                        while done < sent.len() {
                            let len = (1 + numbers.below(150_000)).min(sent.len() - done);
                            writing
                                .write_all(&sent[done..done + len])
                                .await
                                .expect("bytes are taken");
                            writing.flush().await.expect("bytes leave");
                            done += len;
                        }
                    };
                    let reader = async {
                        let mut all = vec![0; sent.len()];
                        reading.read_exact(&mut all).await.expect("bytes come");
                        all
                    };
                    let ((), got) = tokio::join!(writer, reader);
                    assert!(got == sent, "bytes are missing or out of order");
                    assert_eq!(traffic.sent(), sent.len() as u64);
                    assert_eq!(traffic.received(), sent.len() as u64);
                }
            };
            tokio::join!(work(server, seed), work(client, seed + 100));

            let (mut server, mut client) = pair(version).await;
            let (mut one, mut other) = (Numbers(seed), Numbers(seed + 7));
            let ((), got) = tokio::join!(
                write_all(&mut server, &sent, &mut one),
                read_all(&mut client, sent.len(), &mut other)
            );
            assert!(got == sent, "bytes are missing or out of order");
        }
    }
}

#[tokio::test]
async fn the_end_is_clean_with_close_notify_and_an_error_without() {
    let (mut server, mut client) = pair(Version::V1_3).await;
    server
        .write_all(b"last words")
        .await
        .expect("bytes are taken");
    let (closed, got) = tokio::join!(server.shutdown(), async {
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.expect("a clean end");
        drop(client);
        got
    });
    closed.expect("a clean end");
    assert_eq!(got, b"last words");

    // Cut, it still says goodbye.
    let (server, mut client) = pair(Version::V1_3).await;
    drop(server);
    assert_eq!(client.read(&mut [0; 4]).await.expect("a clean end"), 0);
}

#[tokio::test]
async fn a_peer_that_does_not_close_is_not_waited_for() {
    let (mut server, client) = pair(Version::V1_3).await;
    let begun = std::time::Instant::now();
    server.shutdown().await.expect("a clean end");
    let linger = Limits::default().linger;
    assert!(begun.elapsed() >= linger);
    drop(client);
}

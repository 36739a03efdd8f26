//! One TLS door on loopback: a client does something, the door says how the handshake went.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use boring::ssl::{Ssl, SslContext, SslStream};
use sealcast_tls::server::{self, ClientAuth, HandshakeFailure, ServerPolicy};
use sealcast_tls::{Facts, Version};

/// A socket that remembers how the client's bytes began and ended.
pub struct Recorded {
    socket: TcpStream,
    pub first: Vec<u8>,
    pub last: Vec<u8>,
}

impl Recorded {
    /// Takes what has already arrived: the engine stops after five bytes that are no TLS.
    fn read_on(&mut self) {
        let _ = self.socket.set_nonblocking(true);
        let _ = self.read(&mut [0; 64]);
    }
}

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.socket.read(buffer).map_err(|error| {
            // A read timeout of a blocking socket shows as WouldBlock on Linux.
            match error.kind() {
                io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
                _ => error,
            }
        })?;
        let wanted = server::FIRST_BYTES - self.first.len();
        self.first.extend(&buffer[..len.min(wanted)]);
        self.last.extend(&buffer[..len]);
        let surplus = self.last.len().saturating_sub(server::FIRST_BYTES);
        self.last.drain(..surplus);
        Ok(len)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

pub fn policy(client_auth: ClientAuth) -> ServerPolicy {
    ServerPolicy {
        min_version: Version::V1_2,
        max_version: Version::V1_3,
        groups: "X25519MLKEM768:X25519:P-256:P-384".to_owned(),
        alpn: Vec::new(),
        client_auth,
    }
}

/// Lets `client` loose on a door; returns what the door made of it. After a handshake the door
/// echoes one message, so that a client learns whether it was admitted.
pub fn meet(
    context: &SslContext,
    client: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<Facts, HandshakeFailure> {
    // Far longer than any handshake, so that a busy machine fails no test.
    meet_within(Duration::from_secs(20), context, client)
}

/// The same, with a time limit for each read.
pub fn meet_within(
    patience: Duration,
    context: &SslContext,
    client: impl FnOnce(SocketAddr) + Send + 'static,
) -> Result<Facts, HandshakeFailure> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("its address");
    let client = thread::spawn(move || client(address));
    let (socket, _) = listener.accept().expect("the client connects");
    socket.set_read_timeout(Some(patience)).expect("a timeout");
    let recorded = Recorded {
        socket,
        first: Vec::new(),
        last: Vec::new(),
    };
    let ssl = Ssl::new(context).expect("a connection");
    let mut stream = SslStream::new(ssl, recorded).expect("a stream");
    let outcome = match stream.accept() {
        Ok(()) => {
            let mut message = [0; 64];
            if let Ok(len) = stream.read(&mut message) {
                let _ = stream.write(&message[..len]);
            }
            Ok(server::facts(stream.ssl()))
        }
        Err(error) => {
            stream.get_mut().read_on();
            let first = stream.get_ref().first.clone();
            Err(server::alert_in_clear(&stream.get_ref().last)
                .unwrap_or_else(|| server::classify(&error, stream.ssl(), &first)))
        }
    };
    drop(stream);
    client.join().expect("the client does not panic");
    outcome
}

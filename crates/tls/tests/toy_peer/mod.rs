//! A DTLS client made straight from the engine, without the care of an endpoint: it can do what
//! our own client cannot, such as speak DTLS 1.0 or present no certificate.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

use boring::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent};

#[derive(Debug, Default)]
struct Queues {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Queues {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the endpoint fared.
#[derive(Debug)]
pub struct Outcome(DtlsEvent);

impl Outcome {
    pub fn code(&self) -> &'static str {
        match &self.0 {
            DtlsEvent::Failed { code, .. } => code,
            other => panic!("no failure: {other:?}"),
        }
    }

    pub fn detail(&self) -> &str {
        match &self.0 {
            DtlsEvent::Failed { detail, .. } => detail,
            other => panic!("no failure: {other:?}"),
        }
    }
}

pub struct ToyPeer {
    stream: SslStream<Queues>,
}

impl ToyPeer {
    /// A client that trusts anybody, shaped by `shape`.
    pub fn client(shape: impl FnOnce(&mut SslContextBuilder)) -> ToyPeer {
        let mut context = SslContext::builder(SslMethod::dtls()).expect("a context");
        context
            .set_max_proto_version(Some(SslVersion::DTLS1_3))
            .expect("1.3 exists");
        context.set_verify(SslVerifyMode::NONE);
        shape(&mut context);
        let mut ssl = Ssl::new(&context.build()).expect("a connection");
        ssl.set_mtu(1200).expect("a size");
        ToyPeer {
            stream: SslStream::new(ssl, Queues::default()).expect("a stream"),
        }
    }

    /// Shakes hands with an endpoint without loss until the endpoint says how it went.
    pub fn meet(&mut self, server: DtlsConfig) -> Outcome {
        let mut now = Instant::now();
        let mut server = DtlsEndpoint::new(server, now).expect("a valid configuration");
        for _ in 0..50 {
            // The toy's own failures are the endpoint's alerts; the endpoint's view counts.
            let _ = self.stream.connect();
            while let Some(datagram) = self.stream.get_mut().outgoing.pop_front() {
                server.receive(now, &datagram);
            }
            while let Some(datagram) = server.poll_transmit() {
                self.stream.get_mut().incoming.push_back(datagram);
            }
            if let Some(event) = server.poll_event() {
                return Outcome(event);
            }
            if let Some(due) = server.deadline() {
                now = due;
                server.tick(now);
            }
        }
        panic!("the endpoint says nothing");
    }
}

//! Clients: a blocking one over BoringSSL's own socket stream, and hyper's HTTP/2 over ours.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use boring::pkey::PKey;
use boring::ssl::{
    HandshakeError, Ssl, SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use boring::x509::X509;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sealcast_front::{Limits, Role, TlsStream};

use super::ca::{Ca, Pair};

pub type Tls = SslStream<TcpStream>;

/// How a client calls.
pub struct Caller {
    roots: X509,
    identity: Option<Pair>,
    alpn: Option<&'static [u8]>,
    version: Option<SslVersion>,
}

impl Caller {
    pub fn new(ca: &Ca) -> Self {
        Self {
            roots: ca.root().to_owned(),
            identity: None,
            alpn: None,
            version: None,
        }
    }

    pub fn presenting(mut self, identity: Pair) -> Self {
        self.identity = Some(identity);
        self
    }

    pub fn alpn(mut self, wire: &'static [u8]) -> Self {
        self.alpn = Some(wire);
        self
    }

    pub fn only(mut self, version: SslVersion) -> Self {
        self.version = Some(version);
        self
    }

    fn ssl(&self) -> Ssl {
        let mut builder = SslConnector::builder(SslMethod::tls()).expect("a client context");
        builder
            .cert_store_mut()
            .add_cert(&self.roots)
            .expect("a root");
        builder.set_verify(SslVerifyMode::PEER);
        if let Some(identity) = &self.identity {
            let certificate = X509::from_pem(&identity.chain).expect("PEM");
            let key = PKey::private_key_from_pem(&identity.key).expect("PEM");
            builder
                .set_certificate(&certificate)
                .expect("a certificate");
            builder.set_private_key(&key).expect("a key");
        }
        if let Some(alpn) = self.alpn {
            builder.set_alpn_protos(alpn).expect("protocols");
        }
        if let Some(version) = self.version {
            builder
                .set_min_proto_version(Some(version))
                .expect("a version");
            builder
                .set_max_proto_version(Some(version))
                .expect("a version");
        }
        let configuration = builder.build().configure().expect("a configuration");
        configuration.into_ssl("localhost").expect("a client")
    }

    /// A TLS connection. In 1.3 a refusal of our certificate shows only when we read.
    pub fn try_call(&self, address: SocketAddr) -> Result<Tls, HandshakeError<TcpStream>> {
        let socket = TcpStream::connect(address).expect("the door listens");
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time limit can be set");
        self.try_over(socket)
    }

    /// The same over a connection that exists already.
    pub fn try_over(&self, socket: TcpStream) -> Result<Tls, HandshakeError<TcpStream>> {
        boring::ssl::SslStreamBuilder::new(self.ssl(), socket).connect()
    }

    pub fn call(&self, address: SocketAddr) -> Tls {
        self.try_call(address).expect("the handshake succeeds")
    }

    /// Whether the door lets us in, to the point that it sends or waits for bytes.
    pub fn is_refused(&self, address: SocketAddr) -> bool {
        match self.try_call(address) {
            Err(_) => true,
            Ok(mut stream) => match stream.read(&mut [0; 16]) {
                Ok(len) => len == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            },
        }
    }

    /// An HTTP/2 connection of hyper's client over our own stream.
    pub async fn call_h2(&self, address: SocketAddr) -> http2::SendRequest<Full<Bytes>> {
        self.call_h2_with(address).await
    }

    /// The same, with bodies of another kind.
    pub async fn call_h2_with<B>(&self, address: SocketAddr) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let builder = http2::Builder::new(TokioExecutor::new());
        self.call_h2_as(address, &builder).await
    }

    /// The same, by a client that is set up in its own way.
    pub async fn call_h2_as<B>(
        &self,
        address: SocketAddr,
        builder: &http2::Builder<TokioExecutor>,
    ) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let socket = tokio::net::TcpStream::connect(address)
            .await
            .expect("the door listens");
        let mut stream = TlsStream::new(self.ssl(), Role::Client, socket, &Limits::default())
            .expect("there is memory");
        stream.handshake().await.expect("the handshake succeeds");
        assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .expect("HTTP/2 starts");
        tokio::spawn(connection);
        sender
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Status and code of a problem document, as in `503 FRONT.APP_BUSY`.
    pub fn problem(&self) -> String {
        let document = self.json();
        format!(
            "{} {}",
            self.status,
            document["code"].as_str().expect("a code")
        )
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// Reads the head of an answer, and no byte more.
pub fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        let len = stream.read(&mut byte).expect("the answer goes on");
        assert_eq!(
            len,
            1,
            "the answer ended in its head: {}",
            String::from_utf8_lossy(&head)
        );
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head is text")
}

/// Reads one HTTP/1.1 answer.
pub fn read_answer(stream: &mut impl Read) -> Answer {
    let head = read_head(stream);
    let mut answer = Answer {
        status: head[9..12].parse().expect("a status"),
        head,
        body: Vec::new(),
    };
    if let Some(len) = answer
        .header("content-length")
        .and_then(|text| text.parse().ok())
    {
        answer.body = vec![0; len];
        stream.read_exact(&mut answer.body).expect("the whole body");
    } else if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("the next chunk");
                line.push(byte[0]);
            }
            let text = std::str::from_utf8(&line).expect("a size").trim();
            let len = usize::from_str_radix(text, 16).expect("a size");
            let mut chunk = vec![0; len + 2];
            stream.read_exact(&mut chunk).expect("the whole chunk");
            answer.body.extend_from_slice(&chunk[..len]);
            if len == 0 {
                break;
            }
        }
    }
    answer
}

/// One HTTP/1.1 exchange; `head` without its last empty line.
pub fn exchange(stream: &mut (impl Read + Write), head: &str, body: &[u8]) -> Answer {
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .expect("the request is taken");
    stream.write_all(body).expect("the body is taken");
    read_answer(stream)
}

pub fn get(stream: &mut (impl Read + Write), path: &str) -> Answer {
    exchange(
        stream,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost"),
        b"",
    )
}

/// Requests whose answers are more than the buffers of two sockets hold.
pub fn ask_for_much(stream: &mut impl Write) {
    for _ in 0..8 {
        stream
            .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("the request is taken");
    }
}

/// One HTTP/2 exchange.
pub async fn exchange_h2(
    sender: &mut http2::SendRequest<Full<Bytes>>,
    request: hyper::Request<Full<Bytes>>,
) -> (hyper::http::response::Parts, Bytes) {
    let (head, body) = sender
        .send_request(request)
        .await
        .expect("an answer")
        .into_parts();
    let body = body.collect().await.expect("the whole body").to_bytes();
    (head, body)
}

//! Raw TLS ingest: what a proved peer sends is poured, opened, into one end of a socket pair.
//!
//! Back-pressure is the socket pair's: while it is full nothing is read from the peer, whose TCP
//! window then closes. So one connection holds one read buffer and `ingest_buffer` bytes, however
//! fast the peer and slow the reader. Bytes that the reader writes into its end go to the peer.
//!
//! The idle limit counts only while we wait for the peer, not while the reader makes it wait.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;

use socket2::SockRef;
use tokio::io::{split, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::codes::Code;
use crate::connections::CloseRequest;
use crate::handle::Shared;
use crate::handshake::Ending;
use crate::limits::{Limits, RECORD_PLAINTEXT};
use crate::stream::TlsStream;

/// A socket pair: our end, ready for a runtime, and the reader's, blocking.
pub(crate) fn pair(limits: &Limits) -> io::Result<(Pair, OwnedFd)> {
    let (ours, theirs) = Pair::pair()?;
    // What a Unix socket buffers is charged to the one that sends.
    SockRef::from(&ours).set_send_buffer_size(limits.ingest_buffer)?;
    ours.set_nonblocking(true)?;
    Ok((ours, theirs.into()))
}

/// Pours until either side ends or somebody asks for the end. The reader sees the end at once;
/// saying goodbye to the peer is left to the caller, because it may take as long as it lingers.
pub(crate) async fn pour(
    shared: &Shared,
    stream: TlsStream,
    pipe: UnixStream,
    close: &mut CloseRequest,
) -> (Ending, TlsStream) {
    let mut stop = shared.stopping();
    let (mut from_peer, mut to_peer) = split(stream);
    let ending = tokio::select! {
        biased;
        code = close.wait() => code.into(),
        () = stop.wait() => Ending::new(Code::ClosedByNode, "the node is stopping"),
        ending = upstream(&shared.limits, &mut from_peer, &pipe) => ending,
        ending = downstream(&pipe, &mut to_peer) => ending,
    };
    (ending, from_peer.unsplit(to_peer))
}

/// Peer to reader.
async fn upstream(
    limits: &Limits,
    peer: &mut (impl AsyncRead + Unpin),
    pipe: &UnixStream,
) -> Ending {
    let mut buffer = vec![0; RECORD_PLAINTEXT];
    loop {
        let len = match timeout(limits.ingest_idle, peer.read(&mut buffer)).await {
            Err(_) => {
                let idle = limits.ingest_idle.as_secs_f32();
                return Ending::new(Code::Idle, format!("no byte for {idle} s"));
            }
            Ok(Ok(0)) => return Ending::new(Code::PeerClosed, "closed with close_notify"),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ending::new(
                    Code::PeerClosed,
                    "TCP ended without close_notify: the end may be cut short",
                );
            }
            Ok(Err(error)) => return Ending::new(Code::PeerClosed, error.to_string()),
            Ok(Ok(len)) => len,
        };
        if let Err(error) = write_all(pipe, &buffer[..len]).await {
            return reader_gone(&error);
        }
    }
}

pub(crate) async fn write_all(pipe: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        pipe.writable().await?;
        match pipe.try_write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reader to peer. Ends when the reader closed its descriptor; a reader that only shut its writing
/// side keeps reading.
async fn downstream(pipe: &UnixStream, peer: &mut (impl AsyncWrite + Unpin)) -> Ending {
    let mut buffer = [0; 4096];
    loop {
        let outcome = match pipe.readable().await {
            Ok(()) => pipe.try_read(&mut buffer),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(0) => break,
            Ok(len) => {
                let sent = match peer.write_all(&buffer[..len]).await {
                    Ok(()) => peer.flush().await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent {
                    return Ending::new(Code::PeerClosed, error.to_string());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return reader_gone(&error),
        }
    }
    match pipe.ready(Interest::WRITABLE).await {
        Ok(ready) if !ready.is_write_closed() => std::future::pending().await,
        Ok(_) => reader_gone(&io::ErrorKind::BrokenPipe.into()),
        Err(error) => reader_gone(&error),
    }
}

pub(crate) fn reader_gone(error: &io::Error) -> Ending {
    Ending::new(
        Code::ClosedByNode,
        format!("the reader inside the node closed its end ({error})"),
    )
}

//! One TLS connection over one TCP socket, asynchronous.
//!
//! BoringSSL reads from and writes to a pair of memory buffers ([`Wire`]); this file moves bytes
//! between them and the socket. So no waker ever travels through a callback, sealed records gather
//! until about 64 kB are worth a system call, and `SSL_write` never has to be retried: the sealed
//! side always has room, because plaintext is only taken while less than [`COALESCE`] bytes wait.
//!
//! Both buffers are given back when they are empty: an idle connection holds none.

use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use boring::error::ErrorStack;
use boring::ssl::{ErrorCode, Ssl, SslMode, SslRef, SslStream};
use sealcast_tls::server::{HandshakeFailure, Opening};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, Sleep};

use crate::limits::{Limits, COALESCE, GATHER_BELOW, READ_BUFFER, RECORD_PLAINTEXT};

/// Application bytes that a connection carried, before sealing and after opening.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    /// Bytes from the peer.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes to the peer.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The two memory buffers between BoringSSL and the socket.
#[derive(Default)]
struct Wire {
    /// `input[taken..filled]` arrived and was not read by BoringSSL yet.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    ended: bool,
    /// `output[sent..]` is sealed and waits for the socket.
    output: Vec<u8>,
    sent: usize,
    /// Until the handshake is over.
    opening: Option<Opening>,
}

impl Wire {
    fn waiting(&self) -> usize {
        self.output.len() - self.sent
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.filled {
            return if self.ended {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let len = buffer.len().min(self.filled - self.taken);
        buffer[..len].copy_from_slice(&self.input[self.taken..self.taken + len]);
        self.taken += len;
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, sealed: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(sealed);
        Ok(sealed.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How far the end of a connection has come.
enum Closing {
    Open,
    /// Our close_notify is sealed and on its way.
    Notified,
    /// Our side of the TCP connection is shut; what still arrives is thrown away until the peer
    /// closes too. Closing with unread bytes would send a reset, and a reset may overtake our last
    /// words (RFC 9112 §9.6).
    Lingering {
        until: Pin<Box<Sleep>>,
        thrown: usize,
    },
    Closed,
}

/// Which side of the handshake we are.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// We were called.
    Server,
    /// We call.
    Client,
}

/// A TLS connection over a TCP socket.
///
/// Reading gives `UnexpectedEof` if the peer ended TCP without a close_notify: what came so far may
/// be cut short.
pub struct TlsStream {
    ssl: SslStream<Wire>,
    role: Role,
    socket: TcpStream,
    traffic: Arc<Traffic>,
    closing: Closing,
    stall: Option<Pin<Box<Sleep>>>,
    write_stall: Duration,
    linger: Duration,
    linger_bytes: usize,
}

impl TlsStream {
    /// Joins a prepared `Ssl` and a connected socket. No byte moves yet.
    ///
    /// # Errors
    /// If BoringSSL has no memory left.
    pub fn new(
        mut ssl: Ssl,
        role: Role,
        socket: TcpStream,
        limits: &Limits,
    ) -> Result<Self, ErrorStack> {
        // Neither mode is set by the builder. Writes never stop half-way here, so both only keep
        // BoringSSL from being stricter than this file needs.
        ssl.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
        let wire = Wire {
            opening: Some(Opening::default()),
            ..Wire::default()
        };
        Ok(Self {
            ssl: SslStream::new(ssl, wire)?,
            role,
            socket,
            traffic: Arc::default(),
            closing: Closing::Open,
            stall: None,
            write_stall: limits.write_stall,
            linger: limits.linger,
            linger_bytes: limits.linger_bytes,
        })
    }

    /// Completes the handshake and sends what it left to send.
    ///
    /// # Errors
    /// The reason as BoringSSL gives it; [`Self::first_bytes`] and the alert in clear help to
    /// explain it.
    pub async fn handshake(&mut self) -> Result<(), boring::ssl::Error> {
        std::future::poll_fn(|context| self.poll_handshake(context)).await
    }

    fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), boring::ssl::Error>> {
        loop {
            let outcome = match self.role {
                Role::Server => self.ssl.accept(),
                Role::Client => self.ssl.connect(),
            };
            match outcome {
                Ok(()) => {
                    // Session tickets may still wait; a peer that went away meanwhile shows at the
                    // first read.
                    let _ = self.poll_push(context);
                    self.ssl.get_mut().opening = None;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => {
                    let _ = self.poll_push(context);
                    // A broken socket is told to BoringSSL as the end of input, so that it names
                    // the failure.
                    if ready!(self.poll_pull(context)).is_err() {
                        self.ssl.get_mut().ended = true;
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// What the peer sent first, while the handshake lasts or after it failed; empty once it is
    /// complete.
    #[must_use]
    pub fn first_bytes(&self) -> &[u8] {
        self.ssl
            .get_ref()
            .opening
            .as_ref()
            .map_or(&[], Opening::first_bytes)
    }

    /// The alert that the peer sent in clear during a handshake that failed.
    pub(crate) fn clear_alert(&self) -> Option<HandshakeFailure> {
        self.ssl.get_ref().opening.as_ref()?.clear_alert()
    }

    /// The negotiated facts' source.
    #[must_use]
    pub fn ssl(&self) -> &SslRef {
        self.ssl.ssl()
    }

    /// The counters of this connection; they live on when the stream has gone.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Instead of TLS: throws away what BoringSSL wants to say, sends `answer` as it is, and
    /// closes. For peers that speak something else, after a handshake that failed.
    pub(crate) async fn answer_in_clear(mut self, answer: &[u8]) {
        let wire = self.ssl.get_mut();
        wire.output.clear();
        wire.sent = 0;
        wire.output.extend_from_slice(answer);
        self.finish_failed().await;
    }

    /// After a handshake that failed: sends the alert that waits, if any, and closes so that it
    /// arrives.
    pub(crate) async fn finish_failed(mut self) {
        self.closing = Closing::Notified;
        let _ = std::future::poll_fn(|context| Pin::new(&mut self).poll_shutdown(context)).await;
    }

    /// Moves bytes from the socket into the input buffer. `Ready(Ok)` means that BoringSSL should
    /// try again.
    fn poll_pull(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.ssl.get_mut();
        if wire.ended || wire.taken < wire.filled {
            return Poll::Ready(Ok(()));
        }
        if wire.input.is_empty() {
            wire.input = vec![0; READ_BUFFER];
        }
        wire.taken = 0;
        wire.filled = 0;
        let mut buffer = ReadBuf::new(&mut wire.input);
        match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) => {
                wire.filled = buffer.filled().len();
                if wire.filled == 0 {
                    wire.ended = true;
                } else if let Some(opening) = &mut wire.opening {
                    opening.push(&wire.input[..wire.filled]);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                wire.input = Vec::new();
                Poll::Pending
            }
        }
    }

    /// Moves sealed bytes to the socket until none waits.
    fn poll_push(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.ssl.get_mut();
        while wire.sent < wire.output.len() {
            match Pin::new(&mut self.socket).poll_write(context, &wire.output[wire.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => {
                    wire.sent += len;
                    self.stall = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let write_stall = self.write_stall;
                    let stall = self
                        .stall
                        .get_or_insert_with(|| Box::pin(sleep(write_stall)));
                    return match stall.as_mut().poll(context) {
                        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
        wire.output = Vec::new();
        wire.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Waits until another record may be sealed.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ssl.get_ref().waiting() < COALESCE {
            return Poll::Ready(Ok(()));
        }
        match self.poll_push(context) {
            Poll::Pending if self.ssl.get_ref().waiting() < COALESCE => Poll::Ready(Ok(())),
            other => other,
        }
    }

    /// Seals plaintext, a record at a time, while there is room; returns how much of it was taken.
    fn seal(&mut self, plain: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < plain.len() && self.ssl.get_ref().waiting() < COALESCE {
            let end = plain.len().min(done + RECORD_PLAINTEXT);
            done += self
                .ssl
                .ssl_write(&plain[done..end])
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        self.traffic.sent.fetch_add(done as u64, Ordering::Relaxed);
        Ok(done)
    }

    /// Throws away what still arrives until the peer closes, or time or patience ends.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { until, thrown } = &mut self.closing else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 4096];
        while *thrown < self.linger_bytes {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *thrown += buffer.filled().len()
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return until.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let outcome = read_uninit(&mut self.ssl, buffer);
            if self.ssl.get_ref().waiting() > 0 && !matches!(self.closing, Closing::Closed) {
                // An alert or an answer to a key update; a full socket does not stop us from
                // reading.
                if let Poll::Ready(Err(error)) = self.poll_push(context) {
                    return Poll::Ready(Err(error));
                }
            }
            match outcome {
                Ok(len) => {
                    self.traffic
                        .received
                        .fetch_add(len as u64, Ordering::Relaxed);
                    return Poll::Ready(Ok(()));
                }
                Err(error) => match error.code() {
                    ErrorCode::ZERO_RETURN => return Poll::Ready(Ok(())),
                    ErrorCode::WANT_READ => ready!(self.poll_pull(context))?,
                    ErrorCode::SYSCALL => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
                    }
                    _ => return Poll::Ready(Err(io::Error::other(error.to_string()))),
                },
            }
        }
    }
}

/// Opens records into the unfilled part of `buffer` without clearing it first.
#[allow(unsafe_code)]
fn read_uninit(
    ssl: &mut SslStream<Wire>,
    buffer: &mut ReadBuf<'_>,
) -> Result<usize, boring::ssl::Error> {
    // SAFETY: `ssl_read_uninit` promises not to de-initialise any part of the slice.
    let len = ssl.ssl_read_uninit(unsafe { buffer.unfilled_mut() })?;
    // SAFETY: `ssl_read_uninit` promises that the first `len` bytes are initialised when it returns
    // `Ok(len)`.
    unsafe { buffer.assume_init(len) };
    buffer.advance(len);
    Ok(len)
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        plain: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(context))?;
        Poll::Ready(self.seal(plain))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(context))?;
        let mut taken = 0;
        let mut rest = Slices { slices, offset: 0 };
        while self.ssl.get_ref().waiting() < COALESCE {
            let first = rest.first();
            if first.is_empty() {
                break;
            }
            let (offered, sealed) = if first.len() >= GATHER_BELOW || rest.slices.len() == 1 {
                (first.len(), self.seal(first)?)
            } else {
                let mut record = [0; RECORD_PLAINTEXT];
                let len = rest.gather(&mut record);
                (len, self.seal(&record[..len])?)
            };
            rest.advance(sealed);
            taken += sealed;
            if sealed < offered {
                break;
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_push(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &self.closing {
                Closing::Open => {
                    // RFC 8446 §6.1. A failure means that the connection is past saying anything.
                    let _ = self.ssl.shutdown();
                    self.closing = Closing::Notified;
                }
                Closing::Notified => {
                    let pushed = ready!(self.poll_push(context));
                    let shut = ready!(Pin::new(&mut self.socket).poll_shutdown(context));
                    if self.ssl.get_ref().ended || pushed.and(shut).is_err() {
                        self.closing = Closing::Closed;
                    } else {
                        self.closing = Closing::Lingering {
                            until: Box::pin(sleep(self.linger)),
                            thrown: 0,
                        };
                    }
                }
                Closing::Lingering { .. } => {
                    ready!(self.poll_linger(context));
                    self.closing = Closing::Closed;
                }
                Closing::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl Drop for TlsStream {
    /// A connection that is cut (its identity was revoked, say) still says so, as far as one write
    /// goes: a peer that sees no close_notify must take the end for an attack (RFC 8446 §6.1).
    fn drop(&mut self) {
        if matches!(self.closing, Closing::Open) && self.ssl.ssl().is_init_finished() {
            let _ = self.ssl.shutdown();
            let wire = self.ssl.get_ref();
            let _ = self.socket.try_write(&wire.output[wire.sent..]);
        }
    }
}

/// What is left of a list of slices.
struct Slices<'a, 'b> {
    slices: &'a [IoSlice<'b>],
    offset: usize,
}

impl<'a> Slices<'a, '_> {
    /// The rest of the first slice that is not empty; empty if none is left.
    fn first(&mut self) -> &'a [u8] {
        while let Some((first, others)) = self.slices.split_first() {
            if self.offset < first.len() {
                return &first[self.offset..];
            }
            self.slices = others;
            self.offset = 0;
        }
        &[]
    }

    /// Copies as much as fits from the front, across slices.
    fn gather(&self, into: &mut [u8]) -> usize {
        let mut len = 0;
        let mut offset = self.offset;
        for slice in self.slices {
            let part = &slice[offset.min(slice.len())..];
            let taken = part.len().min(into.len() - len);
            into[len..len + taken].copy_from_slice(&part[..taken]);
            len += taken;
            offset = 0;
        }
        len
    }

    fn advance(&mut self, mut len: usize) {
        while let Some((first, others)) = self.slices.split_first() {
            let left = first.len() - self.offset;
            if len < left {
                self.offset += len;
                return;
            }
            len -= left;
            self.slices = others;
            self.offset = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Slices;
    use std::io::IoSlice;

    #[test]
    fn slices_are_gathered_and_advanced_across_their_borders() {
        let parts = [
            IoSlice::new(b"ab"),
            IoSlice::new(b""),
            IoSlice::new(b"cdef"),
            IoSlice::new(b"g"),
        ];
        let mut rest = Slices {
            slices: &parts,
            offset: 0,
        };
        let mut all = Vec::new();
        while !rest.first().is_empty() {
            let mut three = [0; 3];
            let len = rest.gather(&mut three);
            all.extend_from_slice(&three[..len]);
            rest.advance(len);
        }
        assert_eq!(all, b"abcdefg");
    }
}

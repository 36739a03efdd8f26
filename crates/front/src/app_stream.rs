//! The private socket as hyper sees it: an answer outlives the upload that it cuts short.
//!
//! An application may answer before it has read the whole body (a token is refused, say) and close.
//! Our next write then fails, and hyper would give up the exchange although the answer lies in the
//! socket, unread. So a write to an end that reads no more counts as done and its bytes are thrown
//! away; the reading side alone says how the exchange ends. If there is no answer, that is what it
//! says.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

pub(crate) struct AppStream {
    socket: UnixStream,
    deaf: bool,
}

impl AppStream {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            deaf: false,
        }
    }

    /// The outcome of an attempt to write `len` bytes.
    fn settle(&mut self, outcome: Poll<io::Result<usize>>, len: usize) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Err(error)) if is_deaf(&error) => {
                self.deaf = true;
                Poll::Ready(Ok(len))
            }
            other => other,
        }
    }
}

fn is_deaf(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl AsyncRead for AppStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for AppStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.settle(outcome, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(len));
        }
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.settle(outcome, len)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::AppStream;

    #[tokio::test]
    async fn an_answer_is_read_although_writing_failed_before() {
        let (ours, mut app) = UnixStream::pair().expect("a pair");
        let mut ours = AppStream::new(ours);
        ours.write_all(b"the start of an upload")
            .await
            .expect("the app still reads");
        app.write_all(b"no").await.expect("we still read");
        // Closed with bytes unread: the next write fails, as does a read after the answer.
        drop(app);
        for _ in 0..100 {
            ours.write_all(&[0; 60_000]).await.expect("thrown away");
        }
        let mut answer = [0; 2];
        ours.read_exact(&mut answer).await.expect("the answer");
        assert_eq!(&answer, b"no");
    }
}

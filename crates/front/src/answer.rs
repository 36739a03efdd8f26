//! The body of an answer on its way to the client.
//!
//! A place at the application must not be held by whoever is slow to drink. So each answer has a
//! *pump*: it reads the application's body ahead of the client, up to `answer_ahead` bytes, and
//! gives the place back when the application has said its last word. An answer up to that size
//! costs a place for as long as the application needs, however the client behaves.
//!
//! What was read ahead is bounded in memory: over all answers it is `answer_memory`, beyond which a
//! body passes one frame at a time, held with its place. A byte counts until it is truly gone, also
//! while it waits inside HTTP/2 for a window.
//!
//! And it is bounded in time: a client for which bytes wait has to take `answer_progress` of them
//! within each `answer_stall`, or all that waits. Over HTTP/2 only the stream ends then, unless it
//! is just its last bytes that wait; over HTTP/1.1 the connection does. The clock runs only while
//! bytes wait: an application that pauses in an answer, as one that sends events does, is not
//! hurried, and holds its place until it ends or the client goes.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep_until, timeout, Instant};

use crate::http::Underway;
use crate::limits::{Limits, RECORD_PLAINTEXT};
use crate::pool::Lease;

/// An application that has sent the head of a refusal sends its words at once.
const FIRST_WORDS: Duration = Duration::from_secs(1);

/// The body of an answer.
pub(crate) enum Answer {
    /// As the application sends it.
    App(Download),
    /// Our own words, or none.
    Front(Option<Bytes>),
}

/// The client's end of a pump.
pub(crate) struct Download {
    /// Unbounded as a queue: the pump counts what is in it.
    frames: UnboundedReceiver<Passed>,
    /// What was waited for, before the answer began.
    first: Option<Passed>,
    /// Bytes that are to come, where the application said how many.
    left: Option<u64>,
    _underway: Underway,
}

/// What passes from the application to the client.
type Passed = Result<Frame<Bytes>, AnswerError>;

/// The application's answer broke off.
#[derive(Debug)]
pub(crate) struct AnswerError(hyper::Error);

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AnswerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The memory for what is read ahead, over all answers, in bytes.
pub(crate) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new(limits.answer_memory)))
    }
}

impl Answer {
    /// Begins to carry an answer; `give_up` ends what its client does not take.
    pub(crate) fn carry(
        body: Incoming,
        lease: Lease,
        underway: Underway,
        memory: &Memory,
        limits: &Limits,
        give_up: impl FnOnce() + Send + 'static,
    ) -> Self {
        if body.is_end_stream() {
            return Self::Front(None);
        }
        let left = body.size_hint().exact();
        let (out, frames) = unbounded_channel();
        let pump = Pump {
            source: Some(Source {
                body,
                out,
                _lease: lease,
            }),
            parked: None,
            flow: Arc::default(),
            memory: Arc::clone(&memory.0),
            ahead: limits.answer_ahead,
        };
        let pace = Pace {
            limit: limits.answer_stall,
            progress: limits.answer_progress as u64,
            window: None,
        };
        tokio::spawn(pump.run(pace, give_up));
        Self::App(Download {
            frames,
            first: None,
            left,
            _underway: underway,
        })
    }

    /// Waits a moment for the answer's first words, so that they leave together with its head.
    pub(crate) async fn begun(&mut self) {
        if let Self::App(download) = self {
            let first = timeout(FIRST_WORDS, download.frames.recv()).await;
            download.first = first.ok().flatten();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Passed>> {
        match &mut *self {
            Answer::App(download) => {
                let frame = match download.first.take() {
                    Some(first) => Some(first),
                    None => std::task::ready!(download.frames.poll_recv(context)),
                };
                if let (Some(left), Some(Ok(frame))) = (&mut download.left, &frame) {
                    let len = frame.data_ref().map_or(0, Bytes::len);
                    *left = left.saturating_sub(len as u64);
                }
                Poll::Ready(frame)
            }
            Answer::Front(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::App(download) => {
                download.left == Some(0)
                    || (download.first.is_none()
                        && download.frames.is_closed()
                        && download.frames.is_empty())
            }
            Answer::Front(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::App(download) => download
                .left
                .map_or_else(SizeHint::default, SizeHint::with_exact),
            Answer::Front(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// Bytes between the application and the client's connection.
#[derive(Default)]
struct Flow {
    held: AtomicUsize,
    gone: AtomicU64,
    moved: Notify,
}

/// A piece of an answer. However it ends, sent or thrown away, it is counted as gone.
struct Piece {
    bytes: Bytes,
    flow: Arc<Flow>,
    _memory: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let len = self.bytes.len();
        self.flow.gone.fetch_add(len as u64, Ordering::Relaxed);
        self.flow.held.fetch_sub(len, Ordering::Relaxed);
        self.flow.moved.notify_one();
    }
}

/// Reads an answer from the application, and watches it go.
struct Pump {
    source: Option<Source>,
    /// A frame for which there was no memory.
    parked: Option<Bytes>,
    flow: Arc<Flow>,
    memory: Arc<Semaphore>,
    ahead: usize,
}

/// What an answer needs until the application has said its last word.
struct Source {
    body: Incoming,
    out: UnboundedSender<Passed>,
    _lease: Lease,
}

impl Pump {
    async fn run(mut self, mut pace: Pace, give_up: impl FnOnce()) {
        loop {
            self.place_parked();
            let held = self.flow.held.load(Ordering::Relaxed);
            if held == 0 && self.source.is_none() {
                return;
            }
            let due = pace.due(held, self.flow.gone.load(Ordering::Relaxed));
            let room = self.parked.is_none() && held < self.ahead;
            let (body, out) = match &mut self.source {
                Some(source) => (room.then_some(&mut source.body), Some(&source.out)),
                None => (None, None),
            };
            tokio::select! {
                biased;
                // The client does not want the rest, nor do we.
                () = closed(out) => return,
                () = self.flow.moved.notified() => {}
                frame = next(body) => self.pass(frame),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    give_up();
                    return;
                }
            }
        }
    }

    fn pass(&mut self, frame: Option<Result<Frame<Bytes>, hyper::Error>>) {
        let Some(source) = &self.source else { return };
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => self.parked = Some(bytes),
                // Nobody listens any more: noticed at the next turn.
                Err(other) => drop(source.out.send(Ok(other))),
            },
            Some(Err(error)) => {
                let _ = source.out.send(Err(AnswerError(error)));
                self.source = None;
            }
            None => self.source = None,
        }
        self.place_parked();
    }

    /// Hands a frame on in pieces, if there is memory for it or nothing else of this answer waits.
    fn place_parked(&mut self) {
        let (Some(source), Some(mut bytes)) = (&self.source, self.parked.take()) else {
            return;
        };
        let permits = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut memory = Arc::clone(&self.memory)
            .try_acquire_many_owned(permits)
            .ok();
        if memory.is_none() && self.flow.held.load(Ordering::Relaxed) > 0 {
            self.parked = Some(bytes);
            return;
        }
        // Small ones, so that a stream without a window keeps little in HTTP/2's own queue.
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(RECORD_PLAINTEXT));
            self.flow.held.fetch_add(piece.len(), Ordering::Relaxed);
            let piece = Piece {
                _memory: memory.as_mut().and_then(|all| all.split(piece.len())),
                bytes: piece,
                flow: Arc::clone(&self.flow),
            };
            let _ = source.out.send(Ok(Frame::data(Bytes::from_owner(piece))));
        }
        // A body of known length has no further frame to wait for.
        if source.body.is_end_stream() {
            self.source = None;
        }
    }
}

/// Ends when the client has gone; never, if it has all that it can get.
async fn closed(out: Option<&UnboundedSender<Passed>>) {
    match out {
        Some(out) => out.closed().await,
        None => std::future::pending().await,
    }
}

/// The next frame of the application; never, if there is nothing to read from.
async fn next(body: Option<&mut Incoming>) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    match body {
        Some(body) => poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await,
        None => std::future::pending().await,
    }
}

/// The least progress of a client.
struct Pace {
    limit: Duration,
    progress: u64,
    /// What was gone when the window began, and when it ends.
    window: Option<(u64, Instant)>,
}

impl Pace {
    /// When a client that takes nothing more has stalled; `None` while nothing waits for it.
    fn due(&mut self, held: usize, gone: u64) -> Option<Instant> {
        if held == 0 {
            self.window = None;
            return None;
        }
        match self.window {
            Some((from, due)) if gone - from < self.progress => Some(due),
            _ => {
                let due = Instant::now() + self.limit;
                self.window = Some((gone, due));
                Some(due)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn pace() -> Pace {
        Pace {
            limit: LIMIT,
            progress: 10,
            window: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_gets_no_more_time() {
        let mut pace = pace();
        let due = Instant::now() + LIMIT;
        assert_eq!(pace.due(100, 0), Some(due));
        tokio::time::advance(LIMIT / 2).await;
        assert_eq!(pace.due(91, 9), Some(due));
        assert_eq!(pace.due(90, 10), Some(Instant::now() + LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_while_nothing_waits_for_the_client() {
        let mut pace = pace();
        assert!(pace.due(1, 0).is_some());
        assert_eq!(pace.due(0, 1), None);
        tokio::time::advance(LIMIT * 10).await;
        assert_eq!(pace.due(1, 1), Some(Instant::now() + LIMIT));
    }
}

//! The body of a request on its way to the application, and the least progress that it must make.
//!
//! It waits here until the application asks for it: our request carries `Expect: 100-continue` (RFC
//! 9110 §10.1.1), and nothing is read from the client before the 100 comes. So a request that is
//! refused by its head costs no body, its client is told before it sends one, and a body that the
//! application wants to have in another way (see `handed`) is still whole.
//!
//! An upload may take as long as it needs, but it holds a connection to the application all the
//! while, so it has to move: `body_progress` bytes within each `body_stall` of waiting for the
//! client, or the end. The clock runs only from the moment that we ask for bytes and find none; an
//! application that is slow to take what came is not the client's fault.
//!
//! It is the application's, and [`AppTurn`] tells whoever waits for the answer: how long it has
//! been the application's turn, to take what has come or to answer what is complete.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{sleep, sleep_until, Instant, Sleep};

use crate::codes::Code;
use crate::door::Door;
use crate::limits::Limits;

/// The body of a request on its way to the application.
pub(crate) enum Upload {
    /// As the client sends it.
    Client(Arc<Kept>),
    /// Nothing.
    Empty,
}

/// A client's body that the application has to ask for.
pub(crate) struct Kept {
    stage: Mutex<Stage>,
    turn: Arc<AppTurn>,
}

enum Stage {
    /// Nobody has asked yet; who wants to know of it.
    Waiting(Paced<Incoming>, Option<Waker>),
    /// On its way to the application.
    Flowing(Paced<Incoming>),
    /// Taken back. What is left of the exchange waits in vain and is cut off.
    TakenBack,
}

impl Kept {
    fn with<T>(&self, work: impl FnOnce(&mut Stage) -> T) -> T {
        work(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The application asked for it.
    pub(crate) fn flow(&self) {
        let waker = self.with(|stage| match std::mem::replace(stage, Stage::TakenBack) {
            Stage::Waiting(body, waker) => {
                *stage = Stage::Flowing(body);
                waker
            }
            other => {
                *stage = other;
                None
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The whole body, if the application has not asked for it.
    pub(crate) fn take_back(&self) -> Option<Paced<Incoming>> {
        self.with(|stage| match std::mem::replace(stage, Stage::TakenBack) {
            Stage::Waiting(body, _) => Some(body),
            other => {
                *stage = other;
                None
            }
        })
    }
}

/// Since when it is the application's turn in an exchange; not, while we wait for the client.
pub(crate) struct AppTurn(Mutex<Option<Instant>>);

impl AppTurn {
    fn begin() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Instant::now()))))
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Ends when it has been the application's turn for `limit` without a break.
    pub(crate) async fn overdue(&self, limit: Duration) {
        loop {
            let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // While it is the client's, the next turn of the application ends no sooner than this.
            let due = since.unwrap_or(now) + limit;
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// Why a body did not arrive whole.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The client went away, or what it sent is no body.
    Broken(hyper::Error),
    /// It sent too little for this long.
    Stalled(Duration),
}

impl fmt::Display for UploadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::Stalled(limit) => write!(f, "no progress for {limit:?}"),
        }
    }
}

impl std::error::Error for UploadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::Stalled(_) => None,
        }
    }
}

impl Upload {
    /// A client's body at a door. A stall is counted there when it happens: the application may
    /// have begun its answer long before, and then nobody else hears of it.
    pub(crate) fn new(body: Incoming, door: &Arc<Door>, limits: &Limits) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let (door, codes) = (Arc::clone(door), limits.codes_per_door);
        let turn = AppTurn::begin();
        let paced = Paced {
            body,
            limit: limits.body_stall,
            progress: limits.body_progress,
            clock: None,
            arrived: 0,
            turn: Arc::clone(&turn),
            on_stall: Box::new(move || door.tally.count(Code::BodyStalled.code(), codes)),
        };
        Self::Client(Arc::new(Kept {
            stage: Mutex::new(Stage::Waiting(paced, None)),
            turn,
        }))
    }

    /// The client's body, if there is one.
    pub(crate) fn kept(&self) -> Option<Arc<Kept>> {
        match self {
            Self::Client(kept) => Some(Arc::clone(kept)),
            Self::Empty => None,
        }
    }

    /// Whose turn it is, from now on.
    pub(crate) fn app_turn(&self) -> Arc<AppTurn> {
        match self {
            Self::Client(kept) => {
                kept.turn.set(Some(Instant::now()));
                Arc::clone(&kept.turn)
            }
            Self::Empty => AppTurn::begin(),
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Upload::Client(kept) = &*self else {
            return Poll::Ready(None);
        };
        kept.with(|stage| match stage {
            Stage::Waiting(_, waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Stage::Flowing(body) => body.poll_frame(context),
            Stage::TakenBack => Poll::Pending,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Upload::Client(kept) => kept.with(|stage| match stage {
                Stage::Flowing(paced) => paced.body.is_end_stream(),
                Stage::Waiting(..) | Stage::TakenBack => false,
            }),
            Upload::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Upload::Client(kept) => kept.with(|stage| match stage {
                Stage::Waiting(paced, _) | Stage::Flowing(paced) => paced.body.size_hint(),
                Stage::TakenBack => SizeHint::default(),
            }),
            Upload::Empty => SizeHint::with_exact(0),
        }
    }
}

/// A body that ends with an error when it stalls.
pub(crate) struct Paced<B> {
    body: B,
    limit: Duration,
    progress: usize,
    /// Runs from the first time that we waited in vain, until enough has arrived.
    clock: Option<Pin<Box<Sleep>>>,
    /// Bytes since then.
    arrived: usize,
    turn: Arc<AppTurn>,
    on_stall: Box<dyn Fn() + Send + Sync>,
}

impl<B> Paced<B> {
    /// The body alone, whose client no longer has to hurry.
    pub(crate) fn unpaced(self) -> B {
        self.body
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Paced<B> {
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let len = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            self.note(len);
            self.turn.set(Some(Instant::now()));
            return Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Broken)));
        }
        self.turn.set(None);
        let limit = self.limit;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(limit)));
        if clock.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        (self.on_stall)();
        Poll::Ready(Some(Err(UploadError::Stalled(limit))))
    }

    /// Bytes have come. If the clock ran out before we asked for them, we were kept from asking, by
    /// an application that took nothing: that window does not count.
    fn note(&mut self, len: usize) {
        let Some(clock) = &self.clock else {
            return;
        };
        self.arrived += len;
        if self.arrived >= self.progress || clock.deadline() <= Instant::now() {
            self.clock = None;
            self.arrived = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{channel, Receiver, Sender};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// Whatever the test has sent so far; it wakes nobody, the test asks again itself.
    struct Script(Receiver<Bytes>);

    impl Body for Script {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            match self.0.try_recv() {
                Ok(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(_) => Poll::Pending,
            }
        }
    }

    fn paced(progress: usize) -> (Sender<Bytes>, Paced<Script>, Arc<AtomicUsize>) {
        let (sender, receiver) = channel();
        let stalls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&stalls);
        let paced = Paced {
            body: Script(receiver),
            limit: LIMIT,
            progress,
            clock: None,
            arrived: 0,
            turn: AppTurn::begin(),
            on_stall: Box::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
        };
        (sender, paced, stalls)
    }

    /// Asks once: `Some(bytes)`, or `None` if there are none yet.
    async fn ask(paced: &mut Paced<Script>) -> Result<Option<usize>, UploadError> {
        poll_fn(|context| {
            Poll::Ready(match paced.poll_frame(context) {
                Poll::Pending => Ok(None),
                Poll::Ready(Some(Ok(frame))) => Ok(frame.data_ref().map(Bytes::len)),
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => unreachable!("the script has no end"),
            })
        })
        .await
    }

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_byte_for_the_whole_limit_has_stalled() {
        let (_sender, mut paced, stalls) = paced(1);
        assert!(matches!(ask(&mut paced).await, Ok(None)));
        pass(LIMIT - Duration::from_millis(5)).await;
        assert!(matches!(ask(&mut paced).await, Ok(None)));
        pass(Duration::from_millis(10)).await;
        let error = ask(&mut paced).await.expect_err("a stall");
        assert!(matches!(error, UploadError::Stalled(LIMIT)));
        assert_eq!(stalls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_makes_its_progress_goes_on_for_ever() {
        let (sender, mut paced, stalls) = paced(10);
        for _ in 0..100 {
            assert!(matches!(ask(&mut paced).await, Ok(None)));
            pass(LIMIT - Duration::from_millis(5)).await;
            sender.send(Bytes::from_static(&[0; 10])).expect("taken");
            assert!(matches!(ask(&mut paced).await, Ok(Some(10))));
        }
        assert_eq!(stalls.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn single_bytes_do_not_buy_more_time() {
        let (sender, mut paced, _) = paced(10);
        for _ in 0..5 {
            assert!(matches!(ask(&mut paced).await, Ok(None)));
            pass(LIMIT / 6).await;
            sender.send(Bytes::from_static(&[0])).expect("taken");
            assert!(matches!(ask(&mut paced).await, Ok(Some(1))));
        }
        assert!(matches!(ask(&mut paced).await, Ok(None)));
        pass(LIMIT / 3).await;
        assert!(ask(&mut paced).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_application_that_takes_nothing_is_not_the_clients_stall() {
        let (sender, mut paced, stalls) = paced(10);
        for _ in 0..3 {
            assert!(matches!(ask(&mut paced).await, Ok(None)));
            sender.send(Bytes::from_static(&[0])).expect("taken");
            // Nobody asks for a long time.
            pass(LIMIT * 2).await;
            assert!(matches!(ask(&mut paced).await, Ok(Some(1))));
            pass(LIMIT * 2).await;
            assert!(matches!(ask(&mut paced).await, Ok(None)));
            sender.send(Bytes::from_static(&[0; 10])).expect("taken");
            assert!(matches!(ask(&mut paced).await, Ok(Some(10))));
        }
        assert_eq!(stalls.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_applications_clock_runs_only_while_it_holds_the_exchange_up() {
        let (sender, mut paced, _) = paced(1);
        let turn = Arc::clone(&paced.turn);
        let is_overdue = || async {
            tokio::select! {
                biased;
                () = turn.overdue(LIMIT) => true,
                () = std::future::ready(()) => false,
            }
        };
        for _ in 0..3 {
            // We wait for the client: nobody hurries the application.
            assert!(matches!(ask(&mut paced).await, Ok(None)));
            pass(LIMIT * 2 / 3).await;
            assert!(!is_overdue().await);
            sender.send(Bytes::from_static(&[0])).expect("taken");
            assert!(matches!(ask(&mut paced).await, Ok(Some(1))));
            pass(LIMIT * 2 / 3).await;
            assert!(!is_overdue().await);
        }
        // It has the last byte, and asks for no more.
        pass(LIMIT / 3 + Duration::from_millis(1)).await;
        assert!(is_overdue().await);
    }
}

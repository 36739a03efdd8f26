//! HTTP/2 streams as tasks, each of which can be ended by itself.
//!
//! hyper runs every stream in a task of its own and asks for the next piece of an answer only when
//! the client's window has room. A client that opens no window is therefore never noticed from the
//! side of the answer's body. So the task is made here: whoever holds its [`StreamEnd`] can drop it,
//! and the stream is then reset with CANCEL (RFC 9113 §8.7), its neighbours untouched.

use std::future::Future;
use std::sync::{Arc, Weak};

use hyper::rt::Executor;
use tokio::sync::Notify;

tokio::task_local! {
    static THIS: StreamEnd;
}

/// Runs streams.
#[derive(Clone, Copy)]
pub(crate) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        let asked = Arc::new(Notify::new());
        let end = StreamEnd(Arc::downgrade(&asked));
        tokio::spawn(THIS.scope(end, async move {
            tokio::select! {
                _ = stream => {}
                () = asked.notified() => {}
            }
        }));
    }
}

/// The way to end one stream.
#[derive(Clone)]
pub(crate) struct StreamEnd(Weak<Notify>);

impl StreamEnd {
    /// The stream that this runs in; `None` over HTTP/1.1.
    pub(crate) fn here() -> Option<Self> {
        THIS.try_with(Clone::clone).ok()
    }

    /// Ends the stream; `false` if its task is over already. Its last bytes may then still wait for
    /// the client, and only the end of the connection takes them away.
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        self.0.upgrade().is_some_and(|asked| {
            asked.notify_one();
            true
        })
    }
}

//! Bodies that the application takes out of HTTP.
//!
//! An upload of live media lasts for hours. It must neither hold a place at the application nor go
//! through its event loop piece by piece. So a body that waits in the front (`upload`) has a
//! *ticket*, which travels to the application with the head of the request. Whoever takes the body
//! by its ticket gets the reading end of a socket pair, and answers the request with the ticket.
//! That answer goes no further: the place is given back, and the body is poured into the pair, as
//! raw ingest is (`ingest`). The client's answer comes when the body is over, or when the
//! application has had enough of it: [`crate::FrontHandle::answer_body`].
//!
//! Back-pressure is the socket pair's: while it is full nothing is read from the client, whose TCP
//! or HTTP/2 window then closes. A body has to make the progress that every body has to make; the
//! clock stands still while the reader makes it wait.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode, Version};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::answer::Answer;
use crate::codes::Code;
use crate::events::Event;
use crate::handle::Shared;
use crate::handshake::Ending;
use crate::http::{Caller, Underway};
use crate::ingest::{pair, reader_gone, write_all};
use crate::limits::Limits;
use crate::upload::{Paced, UploadError};

/// What the client of a handed body is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastAnswer {
    /// Of HTTP; what is no final status becomes 500.
    pub status: u16,
    /// Of the body.
    pub media_type: String,
    /// All of it.
    pub body: Vec<u8>,
}

impl LastAnswer {
    fn response(self) -> Response<Answer> {
        let mut response = Response::new(Answer::Front(
            (!self.body.is_empty()).then(|| self.body.into()),
        ));
        *response.status_mut() = StatusCode::from_u16(self.status)
            .ok()
            .filter(|status| !status.is_informational())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Ok(media_type) = HeaderValue::from_str(&self.media_type) {
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The bodies whose requests are under way, by ticket. Tickets count up from 1 and are never used
/// again.
#[derive(Default)]
pub(crate) struct Bodies {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Entry>>,
}

struct Entry {
    pipe: Option<Pair>,
    is_taken: bool,
    answer: Option<oneshot::Sender<LastAnswer>>,
}

impl Bodies {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u64, Entry>) -> T) -> T {
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The reader's end of a body; once only, and only while its request is under way.
    pub(crate) fn take(&self, ticket: u64, limits: &Limits) -> io::Result<Option<OwnedFd>> {
        self.with(|open| {
            let Some(entry) = open.get_mut(&ticket).filter(|entry| !entry.is_taken) else {
                return Ok(None);
            };
            let (ours, theirs) = pair(limits)?;
            entry.pipe = Some(ours);
            entry.is_taken = true;
            Ok(Some(theirs))
        })
    }

    /// Whether an answer was waited for.
    pub(crate) fn answer(&self, ticket: u64, answer: LastAnswer) -> bool {
        let waiting = self.with(|open| open.get_mut(&ticket)?.answer.take());
        waiting.is_some_and(|waiting| waiting.send(answer).is_ok())
    }
}

/// A body's entry in the table, for as long as its request is under way.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    number: u64,
    answer: oneshot::Receiver<LastAnswer>,
}

impl Ticket {
    pub(crate) fn draw(shared: &Arc<Shared>) -> Self {
        let number = shared.bodies.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        let entry = Entry {
            pipe: None,
            is_taken: false,
            answer: Some(sender),
        };
        shared.bodies.with(|open| open.insert(number, entry));
        Self {
            shared: Arc::clone(shared),
            number,
            answer,
        }
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from(self.number)
    }

    /// Our end of the pair, if the body was taken.
    fn pipe(&self) -> Option<Pair> {
        let bodies = &self.shared.bodies;
        bodies.with(|open| open.get_mut(&self.number)?.pipe.take())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Dropped outside the lock: closing a descriptor is a system call.
        drop(self.shared.bodies.with(|open| open.remove(&self.number)));
    }
}

/// Pours a body that was taken, and waits for what its client is to be answered. `None` if nobody
/// took it.
pub(crate) async fn pour(
    caller: &Arc<Caller>,
    underway: Underway,
    ticket: Ticket,
    body: Paced<Incoming>,
    version: Version,
) -> Option<Response<Answer>> {
    let pipe = ticket.pipe()?;
    let pouring = see_through(Arc::clone(caller), underway, ticket, body, pipe, version);
    // In a task of its own: a client may close as soon as its last byte is sent, and the request is
    // dropped then, while bytes of it still wait for the reader.
    tokio::spawn(pouring).await.ok()
}

async fn see_through(
    caller: Arc<Caller>,
    underway: Underway,
    mut ticket: Ticket,
    mut body: Paced<Incoming>,
    pipe: Pair,
    version: Version,
) -> Response<Answer> {
    let shared = &caller.shared;
    let poured = caller.pours();
    let (mut early, mut bytes) = (None, 0);
    let ending = tokio::select! {
        biased;
        answer = &mut ticket.answer => {
            early = answer.ok();
            Ending::new(Code::ClosedByNode, "the application ended it")
        }
        code = caller.closing() => code.into(),
        ending = carry(&mut body, pipe, &mut bytes) => ending,
    };
    // All of it was read.
    let is_whole = ending.code == Code::PeerClosed.code();
    shared.events.tell_end(Event::BodyEnded {
        ticket: ticket.number,
        code: ending.code,
        detail: ending.detail,
        bytes_in: bytes,
    });
    let limit = shared.limits.app_answer;
    let answer = match early {
        Some(answer) => Some(answer),
        None => match timeout(limit, &mut ticket.answer).await {
            Ok(answer) => answer.ok(),
            Err(_) => None,
        },
    };
    let mut response = match answer {
        Some(answer) => answer.response(),
        None => caller.refuse(Code::AppTimeout, &format!("no answer within {limit:?}")),
    };
    if !is_whole {
        let_go(body, version, &shared.limits);
        close_after(version, &mut response);
    }
    drop(underway);
    // If the connection is ended now, the answer still gets its time to leave.
    let last_words = shared.limits.last_words;
    tokio::spawn(async move {
        sleep(last_words).await;
        drop(poured);
    });
    response
}

/// The rest of a body may still come: nothing more can be read from an h1 connection then (RFC
/// 9112 §9.3). Over h2 only the stream ends.
pub(crate) fn close_after(version: Version, response: &mut Response<Answer>) {
    if version != Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
}

/// What to do with a body of which no more is wanted, once its request is answered.
///
/// Over HTTP/2 a reset would follow the answer at once (RFC 9113 §8.1), and a client that is about
/// to send (curl 7.88) sees the reset and not the answer. So it has time to read: what it sends
/// meanwhile is thrown away, as much of it as where a TCP connection lingers. Over HTTP/1.1 the
/// connection does so.
pub(crate) fn let_go(body: Paced<Incoming>, version: Version, limits: &Limits) {
    if version != Version::HTTP_2 {
        return;
    }
    let (time, most, mut body) = (limits.body_stall, limits.linger_bytes, body.unpaced());
    let drain = async move {
        let mut thrown = 0;
        while thrown < most {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => thrown += frame.data_ref().map_or(0, |data| data.len()),
                _ => return,
            }
        }
    };
    tokio::spawn(timeout(time, drain));
}

/// Client to reader. The reader sees the end as soon as this is over.
async fn carry(body: &mut Paced<Incoming>, pipe: Pair, bytes: &mut u64) -> Ending {
    let pipe = match UnixStream::from_std(pipe) {
        Ok(pipe) => pipe,
        Err(error) => return Ending::new(Code::IngestFailed, error.to_string()),
    };
    loop {
        let frame = match poll_fn(|context| body.poll_frame(context)).await {
            None => return Ending::new(Code::PeerClosed, "the body came to its end"),
            Some(Ok(frame)) => frame,
            Some(Err(stalled @ UploadError::Stalled(_))) => {
                return Ending::new(Code::BodyStalled, stalled.to_string());
            }
            Some(Err(UploadError::Broken(error))) => {
                return Ending::new(Code::BodyBroken, error.to_string());
            }
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        *bytes += data.len() as u64;
        if let Err(error) = write_all(&pipe, data).await {
            return reader_gone(&error);
        }
    }
}

//! Events on their way to the caller: bounded, counted when lost, one wake-up per turn of the loop.

use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};

use crate::event::Event;
use crate::wake::Wake;

/// The shard's end of the event queue.
pub(crate) struct Outbox {
    events: Sender<Event>,
    caller: Arc<Wake>,
    has_news: bool,
    lost: u64,
}

impl Outbox {
    pub fn new(events: Sender<Event>, caller: Arc<Wake>) -> Outbox {
        Outbox {
            events,
            caller,
            has_news: false,
            lost: 0,
        }
    }

    pub fn push(&mut self, event: Event) {
        match self.events.try_send(event) {
            Ok(()) => self.has_news = true,
            Err(TrySendError::Full(_)) => self.lost += 1,
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// Wakes the caller if something was pushed since the last call.
    pub fn announce(&mut self) {
        if std::mem::take(&mut self.has_news) {
            self.caller.raise();
        }
    }

    pub fn lost(&self) -> u64 {
        self.lost
    }
}

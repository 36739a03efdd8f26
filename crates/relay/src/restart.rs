//! An ICE restart on its way to the shard and back: the one order besides a snapshot whose outcome
//! the caller waits for, because it has a request to answer with it.
//!
//! Exactly one of the two ends decides. The shard takes the order before it works it, and a caller
//! that waited long enough takes it back: then the shard leaves it alone. So a restart that was
//! reported as failed never happens later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{bounded, Receiver, Sender};
pub use sealcast_leg::IceCredentials;

use crate::error::RelayError;
use crate::spec::LegId;

/// New ICE credentials for both ends (RFC 8445 §9).
#[derive(Clone, Debug)]
pub struct IceRestart {
    /// The leg.
    pub leg: LegId,
    /// Ours.
    pub local: IceCredentials,
    /// The peer's.
    pub remote: IceCredentials,
}

/// The shard's end.
pub(crate) struct RestartOrder {
    restart: IceRestart,
    taken: Arc<AtomicBool>,
    reply: Sender<Result<(), RelayError>>,
}

/// The caller's end.
pub(crate) struct RestartAnswer {
    taken: Arc<AtomicBool>,
    answer: Receiver<Result<(), RelayError>>,
}

pub(crate) fn restart_order(restart: IceRestart) -> (RestartOrder, RestartAnswer) {
    let taken = Arc::new(AtomicBool::new(false));
    let (reply, answer) = bounded(1);
    let order = RestartOrder {
        restart,
        taken: Arc::clone(&taken),
        reply,
    };
    (order, RestartAnswer { taken, answer })
}

impl RestartOrder {
    /// Does `work` and tells its outcome, unless the caller has given up.
    pub fn work(self, work: impl FnOnce(&IceRestart) -> Result<(), RelayError>) {
        if !self.taken.swap(true, Ordering::AcqRel) {
            // There is room for the one answer, and a caller that is gone needs none.
            let _ = self.reply.try_send(work(&self.restart));
        }
    }
}

impl RestartAnswer {
    /// Waits until the shard has worked the order, and up to `timeout` for it to begin.
    ///
    /// # Errors
    /// The shard's own, [`RelayError::NoAnswer`] if it did not begin, [`RelayError::Stopped`].
    pub fn wait(self, timeout: Duration) -> Result<(), RelayError> {
        use crossbeam_channel::RecvTimeoutError::{Disconnected, Timeout};
        match self.answer.recv_timeout(timeout) {
            Ok(outcome) => outcome,
            Err(Disconnected) => Err(RelayError::Stopped),
            Err(Timeout) if !self.taken.swap(true, Ordering::AcqRel) => Err(RelayError::NoAnswer),
            // The shard is at it.
            Err(Timeout) => self.answer.recv().unwrap_or(Err(RelayError::Stopped)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> IceRestart {
        IceRestart {
            leg: 1,
            local: IceCredentials::generate(),
            remote: IceCredentials::generate(),
        }
    }

    #[test]
    fn a_restart_that_was_given_up_is_not_done_later() {
        let (order, answer) = restart_order(any());
        let outcome = answer.wait(Duration::ZERO);
        assert!(matches!(outcome, Err(RelayError::NoAnswer)), "{outcome:?}");
        order.work(|_| panic!("nobody wants it any more"));
    }

    #[test]
    fn the_outcome_is_the_shards() {
        let (order, answer) = restart_order(any());
        order.work(|restart| Err(RelayError::UnknownLeg(restart.leg)));
        let outcome = answer.wait(Duration::ZERO);
        assert!(
            matches!(outcome, Err(RelayError::UnknownLeg(1))),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_shard_that_has_stopped_is_not_waited_for() {
        let (order, answer) = restart_order(any());
        drop(order);
        let outcome = answer.wait(Duration::from_secs(3_600));
        assert!(matches!(outcome, Err(RelayError::Stopped)), "{outcome:?}");
    }
}

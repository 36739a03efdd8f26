//! Which process this is: a fork leaves the same keys, counters and locks in two of them.
//!
//! What may be used in one process only keeps the [`Process`] in which it was made and compares.
//! The count rises in every child, so a child of a child differs from both. Rust cannot see a
//! fork by itself; whoever forks, or lets others fork, calls [`forked`] in the child.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the first one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The process in which something was made.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Process(u32);

impl Process {
    /// The one that runs now.
    #[inline]
    #[must_use]
    pub fn current() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether it is the one that runs now.
    #[inline]
    #[must_use]
    pub fn is_current(self) -> bool {
        self == Self::current()
    }
}

/// This process is the child of a fork: what its parent made is not for it.
pub fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

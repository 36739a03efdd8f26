//! Waking a thread through a descriptor: an eventfd that counts nothing and is either raised or
//! not.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd: readable while it is raised.
#[derive(Debug)]
pub struct Wake {
    descriptor: OwnedFd,
}

impl Wake {
    /// A lowered one, non-blocking and closed on exec.
    ///
    /// # Errors
    /// What the system says, for instance that the process has too many descriptors.
    pub fn new() -> io::Result<Wake> {
        // SAFETY: no pointers are passed; the result is checked before it is used.
        let raw = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `raw` was just returned by eventfd, is valid and owned by nobody else.
        let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
        Ok(Wake { descriptor })
    }

    /// Raises it. A full counter is raised already, so no outcome is an error.
    pub fn raise(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the buffer is 8 readable bytes and lives over the call.
        let _ = unsafe { libc::write(self.descriptor.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Lowers it. If it was not raised nothing happens.
    pub fn lower(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the buffer is 8 writable bytes and lives over the call; the descriptor does not
        // block.
        let _ = unsafe {
            libc::read(
                self.descriptor.as_raw_fd(),
                count.as_mut_ptr().cast(),
                count.len(),
            )
        };
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Waits until one of the descriptors is readable or the time is over. True if one is readable.
///
/// A signal ends the wait early; the caller's loop simply turns once more.
pub fn wait_readable(descriptors: &mut [libc::pollfd], timeout: std::time::Duration) -> bool {
    // Rounded up to the next nanosecond that the system can express: a wait must not end before its
    // deadline, or the loop would spin.
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(timeout.subsec_nanos() as i32),
    };
    // SAFETY: the pointer and length describe one exclusive slice; the timespec lives over the
    // call; no signal mask.
    let ready = unsafe {
        libc::ppoll(
            descriptors.as_mut_ptr(),
            descriptors.len() as libc::nfds_t,
            &raw const timeout,
            std::ptr::null(),
        )
    };
    ready > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_readable_while_raised() {
        let wake = Wake::new().expect("the test may open a descriptor");
        let mut polled = [libc::pollfd {
            fd: wake.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        assert!(!wait_readable(&mut polled, Duration::ZERO));
        wake.raise();
        wake.raise();
        assert!(wait_readable(&mut polled, Duration::from_secs(1)));
        wake.lower();
        assert!(!wait_readable(&mut polled, Duration::ZERO));
    }
}

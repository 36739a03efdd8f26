//! The few BoringSSL functions that the safe binding lacks. The only unsafe code of the crate.
//!
//! What is here: the clock of a DTLS context, its retransmission timers, sending a fatal alert,
//! dropping handshake state after use, alerts by number, what a certificate is to be judged for,
//! one bit about early data, and how large a peer's chain may be. Each wrapper takes a live
//! `SslRef`, so the pointer is valid for the call; none keeps it.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use boring::error::ErrorStack;
use boring::ssl::{SslContextBuilder, SslRef};
use boring::x509::X509StoreContextRef;
use boring_sys as raw;
use foreign_types_shared::ForeignTypeRef;

thread_local! {
    /// What the DTLS engine believes the time is. BoringSSL passes a null connection to its
    /// clock callback, so the time cannot live in the connection: whoever enters the engine sets
    /// it first, on the same thread.
    static ENGINE_TIME: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Sets the engine's time for the calls that follow on this thread.
pub(crate) fn set_engine_time(time: Duration) {
    ENGINE_TIME.set(time);
}

unsafe extern "C" fn engine_time(_null: *const raw::SSL, out: *mut raw::timeval) {
    let time = ENGINE_TIME.get();
    // SAFETY: BoringSSL passes a pointer to a timeval on its stack (ssl_lib.cc,
    // ssl_ctx_get_current_time).
    unsafe {
        (*out).tv_sec = time.as_secs() as libc::time_t;
        (*out).tv_usec = libc::suseconds_t::from(time.subsec_micros());
    }
}

/// Makes every connection of this context take its time from [`set_engine_time`].
pub(crate) fn use_engine_time(context: &mut SslContextBuilder) {
    // SAFETY: the context is live and owned by the builder; the callback is a static function.
    unsafe { raw::SSL_CTX_set_current_time_cb(context.as_ptr(), Some(engine_time)) }
}

/// Connections of this context refuse a Certificate message of more than `bytes`.
pub(crate) fn limit_chain(context: &mut SslContextBuilder, bytes: usize) {
    // SAFETY: the context is live and owned by the builder; the call stores a number.
    unsafe { raw::SSL_CTX_set_max_cert_list(context.as_ptr(), bytes) }
}

/// Time until the next DTLS timer is due, or `None` when none runs.
pub(crate) fn dtls_timeout(ssl: &SslRef) -> Option<Duration> {
    let mut left = raw::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    // SAFETY: `ssl` is live; `left` outlives the call.
    let running = unsafe { raw::DTLSv1_get_timeout(ssl.as_ptr(), &raw mut left) } == 1;
    // Both fields are non-negative by construction in d1_lib.cc.
    running.then(|| {
        Duration::from_secs(left.tv_sec.unsigned_abs())
            + Duration::from_micros(left.tv_usec.unsigned_abs())
    })
}

/// Sends what an expired timer asks for. False when the engine could not.
pub(crate) fn dtls_handle_timeout(ssl: &mut SslRef) -> bool {
    // SAFETY: `ssl` is live and borrowed exclusively; writes end in the stream's own `Write`,
    // whose panics the binding catches.
    unsafe { raw::DTLSv1_handle_timeout(ssl.as_ptr()) >= 0 }
}

/// Sets the first retransmission timer of each flight; it doubles from there.
pub(crate) fn dtls_set_initial_timeout(ssl: &mut SslRef, timeout: Duration) {
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: `ssl` is live and borrowed exclusively.
    unsafe { raw::DTLSv1_set_initial_timeout_duration(ssl.as_ptr(), milliseconds) }
}

/// Lets the engine free what only a handshake needs once it is over (about 1 kB).
pub(crate) fn shed_handshake_config(ssl: &mut SslRef) {
    // SAFETY: `ssl` is live and borrowed exclusively.
    unsafe { raw::SSL_set_shed_handshake_config(ssl.as_ptr(), 1) }
}

/// Sends a fatal alert; the connection is over afterwards.
pub(crate) fn send_fatal_alert(ssl: &mut SslRef, alert: u8) {
    // SAFETY: `ssl` is live and borrowed exclusively. The result only says whether the write was
    // accepted, and the connection is given up either way.
    let _ = unsafe { raw::SSL_send_fatal_alert(ssl.as_ptr(), alert) };
}

/// Whether the server accepted early data on this connection.
pub(crate) fn early_data_accepted(ssl: &SslRef) -> bool {
    // SAFETY: `ssl` is live.
    unsafe { raw::SSL_early_data_accepted(ssl.as_ptr()) == 1 }
}

/// What the engine tells while it works.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// An alert with this number went out.
    AlertSent(u8),
    /// An alert with this number came in, and was believed.
    AlertReceived(u8),
    /// The handshake is complete.
    HandshakeDone,
}

/// Who is told. It must not panic: the engine calls it from C.
type Listener = fn(&SslRef, Moment);

/// The engine's callback has no room for a listener of its own, and the crate needs only one.
static LISTENER: OnceLock<Listener> = OnceLock::new();

unsafe extern "C" fn moment(ssl: *const raw::SSL, kind: libc::c_int, value: libc::c_int) {
    // An alert's value is its level times 256 plus its number (ssl.h, SSL_CTX_set_info_callback).
    let number = (value & 0xff) as u8;
    let moment = match kind {
        raw::SSL_CB_WRITE_ALERT => Moment::AlertSent(number),
        raw::SSL_CB_READ_ALERT => Moment::AlertReceived(number),
        raw::SSL_CB_HANDSHAKE_DONE => Moment::HandshakeDone,
        _ => return,
    };
    if let Some(listener) = LISTENER.get() {
        // SAFETY: BoringSSL passes a live connection, and nothing is changed through it.
        listener(unsafe { SslRef::from_ptr(ssl.cast_mut()) }, moment);
    }
}

/// Has the connections of this context tell `listener`. The binding has this too, but hides the
/// numbers of alerts. The first listener stays.
pub(crate) fn on_moment(context: &mut SslContextBuilder, listener: Listener) {
    LISTENER.get_or_init(|| listener);
    // SAFETY: the context is live and owned by the builder; the callback is a static function.
    unsafe { raw::SSL_CTX_set_info_callback(context.as_ptr(), Some(moment)) }
}

/// What a certificate is judged for (RFC 5280 §4.2.1.12).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificatePurpose {
    /// Its holder connects.
    Client,
    /// Its holder is connected to.
    Server,
}

impl fmt::Display for CertificatePurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificatePurpose::Client => "clients",
            CertificatePurpose::Server => "servers",
        })
    }
}

/// Makes a verification ask for a usage.
pub(crate) fn set_certificate_purpose(
    context: &mut X509StoreContextRef,
    purpose: CertificatePurpose,
) -> Result<(), ErrorStack> {
    let purpose = match purpose {
        CertificatePurpose::Client => raw::X509_PURPOSE_SSL_CLIENT,
        CertificatePurpose::Server => raw::X509_PURPOSE_SSL_SERVER,
    };
    // SAFETY: the context is live, initialised and borrowed exclusively.
    match unsafe { raw::X509_STORE_CTX_set_purpose(context.as_ptr(), purpose) } {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

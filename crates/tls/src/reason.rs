//! The first entry of an error stack: the one that says what went wrong; the rest is its echo.

use boring::error::ErrorStack;
use boring::ssl::Error;
use boring_sys as raw;

/// The SSL reasons (`SSL_R_…`) of a stack, in order.
pub(crate) fn all(stack: &ErrorStack) -> impl Iterator<Item = i32> + '_ {
    let entries = stack.errors().iter();
    entries.filter_map(|entry| entry.library_reason(raw::ERR_LIB_SSL))
}

/// The first SSL reason of an error.
pub(crate) fn first(error: &Error) -> Option<i32> {
    error.ssl_error().and_then(|stack| all(stack).next())
}

/// The number of the fatal alert that the peer sent, if that is what the error is.
pub(crate) fn alert_received(error: &Error) -> Option<u8> {
    alert_number(first(error)?)
}

/// BoringSSL reports a received alert as the reason 1000 + its number.
fn alert_number(reason: i32) -> Option<u8> {
    let number = reason.checked_sub(raw::SSL_AD_REASON_OFFSET)?;
    u8::try_from(number).ok()
}

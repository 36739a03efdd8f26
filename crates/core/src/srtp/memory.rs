//! Memory that Python owns, reached through the buffer protocol.
//!
//! Does: asks an object for its bytes, contiguous and if need be writable, for the length of one
//! closure; makes `bytes` objects in which a packet is worked on where it stays.
//!
//! Does not: keep a view longer than a call. While a view is held the exporter cannot move or
//! resize its memory (CPython, "Buffer Protocol"); that is what the safety of this file rests on.

use std::mem::MaybeUninit;

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The place and length of bytes that a view keeps where they are.
///
/// An address and not a slice: between taking it and using it other Python threads may run, and
/// two of them may name the same bytes.
#[derive(Copy, Clone)]
pub(crate) struct Memory {
    start: *mut u8,
    len: usize,
    item: Item,
}

/// The elements of an array, as far as calls tell them apart.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Item {
    /// A byte.
    Octet,
    /// A whole number of 64 bits in this machine's byte order.
    Word,
    /// A fraction, another byte order, another length.
    Other,
}

impl Item {
    /// By the exporter's format (the `struct` module's letters) and the element's length.
    fn of(format: Option<&[u8]>, len: usize) -> Self {
        // ctypes writes the byte order out.
        let native: &[u8] = if cfg!(target_endian = "little") {
            b"@=<"
        } else {
            b"@=>!"
        };
        match (format, len) {
            // None means bytes (CPython, `Py_buffer.format`).
            (None, 1) => Self::Octet,
            (Some([letter] | [b'@' | b'=' | b'<' | b'>' | b'!', letter]), 1)
                if b"bBc".contains(letter) =>
            {
                Self::Octet
            }
            (Some([letter]), 8) if b"qQlLnN".contains(letter) => Self::Word,
            (Some([order, letter]), 8) if native.contains(order) && b"qQlL".contains(letter) => {
                Self::Word
            }
            _ => Self::Other,
        }
    }
}

impl Memory {
    /// What the exporter thinks it is an array of.
    pub(crate) const fn item(self) -> Item {
        self.item
    }

    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// The bytes, to read.
    ///
    /// # Safety
    ///
    /// The view is still held, and nothing writes these bytes while the slice lives.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: `start` is not null (see `view`) and `len` bytes from it belong to the exporter.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// The bytes, to write.
    ///
    /// # Safety
    ///
    /// The view is still held and was taken by [`writable`], and nothing else reads or writes
    /// these bytes while the slice lives.
    pub(crate) unsafe fn bytes_mut<'a>(self) -> &'a mut [u8] {
        // SAFETY: as in `bytes`; the exporter agreed to writing.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }

    /// Copies all of it to the start of `target`, which has room; the two may overlap.
    ///
    /// # Safety
    ///
    /// Both views are still held, `target` was taken by [`writable`], and no slice of it lives.
    pub(crate) unsafe fn move_to(self, target: Self) {
        debug_assert!(self.len <= target.len);
        if self.start != target.start {
            // SAFETY: both ranges are valid for `self.len` bytes; `copy` allows overlap.
            unsafe { std::ptr::copy(self.start, target.start, self.len) }
        }
    }
}

/// Calls `with` with the bytes of any object that has contiguous ones.
#[inline]
pub(crate) fn readable<R>(
    object: &Bound<'_, PyAny>,
    what: &str,
    with: impl FnOnce(Memory) -> PyResult<R>,
) -> PyResult<R> {
    // The usual case, without the protocol: a `bytes` object never changes.
    if let Ok(bytes) = object.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return with(Memory {
            start: bytes.as_ptr().cast_mut(),
            len: bytes.len(),
            item: Item::Octet,
        });
    }
    view(object, what, ffi::PyBUF_SIMPLE, with)
}

/// Calls `with` with the bytes of any object that has contiguous and writable ones.
pub(crate) fn writable<R>(
    object: &Bound<'_, PyAny>,
    what: &str,
    with: impl FnOnce(Memory) -> PyResult<R>,
) -> PyResult<R> {
    view(object, what, ffi::PyBUF_WRITABLE, with)
}

/// As [`readable`], for an array whose elements matter.
pub(crate) fn readable_array<R>(
    object: &Bound<'_, PyAny>,
    what: &str,
    with: impl FnOnce(Memory) -> PyResult<R>,
) -> PyResult<R> {
    view(object, what, ARRAY, with)
}

/// As [`writable`], for an array whose elements matter.
pub(crate) fn writable_array<R>(
    object: &Bound<'_, PyAny>,
    what: &str,
    with: impl FnOnce(Memory) -> PyResult<R>,
) -> PyResult<R> {
    view(object, what, ARRAY | ffi::PyBUF_WRITABLE, with)
}

/// With its format; contiguous, as without any flag.
const ARRAY: std::ffi::c_int = ffi::PyBUF_ND | ffi::PyBUF_FORMAT;

fn view<R>(
    object: &Bound<'_, PyAny>,
    what: &str,
    flags: std::ffi::c_int,
    with: impl FnOnce(Memory) -> PyResult<R>,
) -> PyResult<R> {
    let mut held = Held(ffi::Py_buffer::new());
    // SAFETY: `object` is alive, and the structure stays where it is until it is released: some
    // exporters make it point into itself.
    if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut held.0, flags) } != 0 {
        // Nothing was acquired: there is nothing to release.
        std::mem::forget(held);
        return Err(explained(object.py(), what));
    }
    let len = usize::try_from(held.0.len).unwrap_or(0);
    let start = held.0.buf.cast::<u8>();
    let item_len = usize::try_from(held.0.itemsize).unwrap_or(0);
    let format = (!held.0.format.is_null()).then(|| {
        // SAFETY: it is not null, so it is a string that ends with a zero and lives as long as the
        // view (CPython, `Py_buffer.format`).
        unsafe { std::ffi::CStr::from_ptr(held.0.format) }.to_bytes()
    });
    with(Memory {
        // An empty exporter may say null, which no slice may start at.
        start: if start.is_null() || len == 0 {
            std::ptr::NonNull::dangling().as_ptr()
        } else {
            start
        },
        len,
        item: Item::of(format, item_len),
    })
}

/// A filled-in `Py_buffer`, given back when dropped, also on the way of a panic.
struct Held(ffi::Py_buffer);

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: it was filled by `PyObject_GetBuffer`, and a view exists only in a call that
        // holds the GIL.
        unsafe { ffi::PyBuffer_Release(&raw mut self.0) }
    }
}

/// One kind of error for every exporter's way to say no (CPython, NumPy and others differ).
fn explained(py: Python<'_>, what: &str) -> PyErr {
    let error = PyErr::fetch(py);
    if error.is_instance_of::<PyTypeError>(py) {
        return error;
    }
    let explained = PyBufferError::new_err(format!("{what}: {}", error.value(py)));
    explained.set_cause(py, Some(error));
    explained
}

/// A new `bytes` object that nobody else has seen, in which a packet is made where it stays.
///
/// Its bytes are not written when it is made: who fills it does so once, without clearing it first.
pub(crate) struct Blank<'py> {
    object: Bound<'py, PyBytes>,
    len: usize,
    is_written: bool,
}

impl<'py> Blank<'py> {
    #[inline]
    pub(crate) fn new(py: Python<'py>, len: usize) -> PyResult<Self> {
        let size = ffi::Py_ssize_t::try_from(len)?;
        // SAFETY: a null pointer asks for uninitialised bytes; what comes back is a new reference
        // to a `bytes` object, or null with an error set, which `from_owned_ptr_or_err` tells
        // apart.
        let object = unsafe {
            let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked()
        };
        Ok(Self {
            object,
            len,
            is_written: false,
        })
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        // SAFETY: CPython keeps the bytes of the object at one place for its whole life. For a
        // null pointer it makes a new object of every length but 0, whose one object has an empty
        // slice.
        unsafe { ffi::PyBytes_AsString(self.object.as_ptr()).cast() }
    }

    /// Where the packet is to be written; the GIL is not needed for that.
    #[inline]
    pub(crate) fn room(&mut self) -> Room<'_> {
        Room {
            // SAFETY: it has `len` bytes; the one reference to it leaves this value only in
            // `finished`.
            bytes: unsafe { std::slice::from_raw_parts_mut(self.start().cast(), self.len) },
            is_written: &mut self.is_written,
        }
    }

    /// What was written; nothing before that.
    pub(crate) fn written(&mut self) -> &mut [u8] {
        let len = if self.is_written { self.len } else { 0 };
        // SAFETY: as in `room`, and once the flag is set all bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.start(), len) }
    }

    /// The object itself where the result fills it, a copy of its first `len` bytes otherwise.
    #[inline]
    pub(crate) fn finished(self, len: usize) -> PyResult<Bound<'py, PyBytes>> {
        // A fault of ours, should it ever be: better an exception than bytes that nobody wrote.
        if !self.is_written || len > self.len {
            return Err(PyBufferError::new_err("a packet was not written"));
        }
        if len == self.len {
            return Ok(self.object);
        }
        Ok(PyBytes::new(
            self.object.py(),
            &self.object.as_bytes()[..len],
        ))
    }
}

/// The unwritten bytes of a [`Blank`].
pub(crate) struct Room<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
    is_written: &'a mut bool,
}

impl<'a> Room<'a> {
    /// Writes `packet` and zeros behind it; the bytes to work on, or none where it has no room.
    #[inline]
    pub(crate) fn fill(self, packet: &[u8]) -> Option<&'a mut [u8]> {
        let behind = self.bytes.len().checked_sub(packet.len())?;
        let start = self.bytes.as_mut_ptr().cast::<u8>();
        // SAFETY: both parts lie within the bytes, which are borrowed for writing and so are not
        // part of `packet`; together they are all of them, so that the slice is initialised.
        unsafe {
            std::ptr::copy_nonoverlapping(packet.as_ptr(), start, packet.len());
            std::ptr::write_bytes(start.add(packet.len()), 0, behind);
            *self.is_written = true;
            Some(std::slice::from_raw_parts_mut(start, self.bytes.len()))
        }
    }
}

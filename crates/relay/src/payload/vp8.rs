//! VP8 payload descriptor (RFC 7741 §4.2) and key-frame bit (§4.3).

/// What the descriptor says, and the coded bytes after it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Descriptor<'a> {
    /// First packet of the frame: the S bit, in partition 0.
    pub begins_frame: bool,
    /// The coded bytes; never empty.
    pub payload: &'a [u8],
}

impl<'a> Descriptor<'a> {
    /// Reads a payload; `None` if it ends within the descriptor or right after it.
    pub fn parse(payload: &'a [u8]) -> Option<Descriptor<'a>> {
        let (&first, mut rest) = payload.split_first()?;
        if first & 0x80 != 0 {
            let extension;
            (extension, rest) = rest.split_first()?;
            let (has_picture, has_level, has_layer, has_key) = (
                extension & 0x80,
                extension & 0x40,
                extension & 0x20,
                extension & 0x10,
            );
            if has_picture != 0 {
                // M: the picture identifier has 15 bits, else 7.
                let len = if rest.first()? & 0x80 != 0 { 2 } else { 1 };
                rest = rest.get(len..)?;
            }
            if has_level != 0 {
                rest = rest.get(1..)?;
            }
            if has_layer | has_key != 0 {
                rest = rest.get(1..)?; // one byte for both
            }
        }
        let begins_frame = first & 0x10 != 0 && first & 0x07 == 0;
        (!rest.is_empty()).then_some(Descriptor {
            begins_frame,
            payload: rest,
        })
    }
}

/// The first packet of a key frame: its payload header's P bit is 0 (RFC 7741 §4.3).
pub fn is_key(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|found| {
        found.begins_frame && found.payload.first().is_some_and(|b| b & 1 == 0)
    })
}

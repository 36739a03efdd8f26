//! VP9 payload descriptor (RFC 9628 §4.2).

/// Resolutions and picture groups a scalability structure may list: 3 and 8 bits by the format.
const MAX_REFERENCES: usize = 3;

/// What the descriptor says, and the coded bytes after it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Descriptor<'a> {
    /// First packet of a layer frame (B).
    pub begins_layer: bool,
    /// Last packet of a layer frame (E).
    pub ends_layer: bool,
    /// Predicted from other pictures (P).
    pub is_predicted: bool,
    /// Spatial layer, 0 without layers.
    pub spatial_layer: u8,
    /// The coded bytes; never empty.
    pub payload: &'a [u8],
}

impl<'a> Descriptor<'a> {
    /// Reads a payload; `None` if it ends within the descriptor or right after it.
    pub fn parse(payload: &'a [u8]) -> Option<Descriptor<'a>> {
        let (&first, mut rest) = payload.split_first()?;
        let has = |bit: u8| first & bit != 0;
        let (has_picture, is_predicted, has_layers, is_flexible) =
            (has(0x80), has(0x40), has(0x20), has(0x10));
        if has_picture {
            let len = if rest.first()? & 0x80 != 0 { 2 } else { 1 };
            rest = rest.get(len..)?;
        }
        let mut spatial_layer = 0;
        if has_layers {
            spatial_layer = rest.first()? >> 1 & 0x07; // T T T U S S S D
            rest = rest.get(if is_flexible { 1 } else { 2 }..)?; // TL0PICIDX if not flexible
        }
        if is_flexible && is_predicted {
            for reference in 1.. {
                if reference > MAX_REFERENCES {
                    return None;
                }
                let (&difference, after) = rest.split_first()?;
                rest = after;
                if difference & 1 == 0 {
                    break; // N: no reference follows
                }
            }
        }
        if has(0x02) {
            rest = skip_structure(rest)?;
        }
        (!rest.is_empty()).then_some(Descriptor {
            begins_layer: has(0x08),
            ends_layer: has(0x04),
            is_predicted,
            spatial_layer,
            payload: rest,
        })
    }

    /// The first packet of a whole picture: of its lowest layer.
    pub fn begins_picture(&self) -> bool {
        self.begins_layer && self.spatial_layer == 0
    }
}

/// Scalability structure: `N_S Y G - - -`, resolutions, picture group (RFC 9628 §4.2.1).
fn skip_structure(structure: &[u8]) -> Option<&[u8]> {
    let (&head, mut rest) = structure.split_first()?;
    let layers = usize::from(head >> 5) + 1;
    if head & 0x10 != 0 {
        rest = rest.get(layers * 4..)?;
    }
    if head & 0x08 != 0 {
        let (&pictures, after) = rest.split_first()?;
        rest = after;
        for _ in 0..pictures {
            let (&picture, after) = rest.split_first()?; // T T T U R R - -
            rest = after.get(usize::from(picture >> 2 & 0x03)..)?;
        }
    }
    Some(rest)
}

/// The first packet of a key picture: the lowest layer, predicted from nothing.
pub fn is_key(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_some_and(|found| found.begins_picture() && !found.is_predicted)
}

//! The session keys of one kind of packet under one master key, one set per derivation period.
//!
//! Without a key derivation rate there is one set and it lives as long as the master key. With
//! one, each period has its own (RFC 3711 §4.3.1): the packet's index says which, so a late packet
//! from before a boundary finds the former keys. The sets used last are kept; another one is
//! derived again, and kept only after a packet was opened with it.

use std::sync::Arc;

use crate::derivation::{Labels, SessionKeys};
use crate::elements::ElementCipher;
use crate::error::SrtpError;
use crate::key::{KeyError, MasterKey};
use crate::lifetime::PacketKind;
use crate::options::{HeaderProtection, KeyDerivationRate, Options};
use crate::transform::Transform;

/// How many periods' keys are kept. SSRCs that share a master key are at different indices.
const KEPT: usize = 16;

/// The keys of one period.
pub(crate) struct Session {
    pub(crate) transform: Transform,
    /// Only where RFC 6904 was asked for.
    pub(crate) elements: Option<Box<ElementCipher>>,
}

/// The sessions of one kind of packet under one master key.
pub(crate) struct Sessions {
    source: Source,
    rate: KeyDerivationRate,
    /// The keys used last, and their period.
    session: Session,
    period: u64,
    /// Those of other periods, the newest use in front.
    kept: Vec<(u64, Session)>,
}

/// What sessions are derived from. The master key is kept only if it is needed again.
struct Source {
    master: Option<Arc<MasterKey>>,
    kind: PacketKind,
    has_elements: bool,
}

impl Sessions {
    pub(crate) fn new(
        master: &Arc<MasterKey>,
        kind: PacketKind,
        options: &Options,
    ) -> Result<Self, KeyError> {
        let rate = options.key_derivation_rate;
        let has_elements = matches!(options.header_protection, HeaderProtection::Elements(_))
            && kind == PacketKind::Rtp;
        let first = derive(master, kind, has_elements, 0)?;
        Ok(Self {
            source: Source {
                master: (!rate.is_never()).then(|| Arc::clone(master)),
                kind,
                has_elements,
            },
            rate,
            session: first,
            period: 0,
            kept: Vec::new(),
        })
    }

    /// Uses the session of this index.
    #[inline(always)]
    pub(crate) fn with(
        &mut self,
        index: u64,
        work: impl FnOnce(&mut Session) -> Result<(), SrtpError>,
    ) -> Result<(), SrtpError> {
        let period = self.rate.period(index);
        if self.period == period {
            return work(&mut self.session);
        }
        self.with_another(period, work)
    }

    #[cold]
    fn with_another(
        &mut self,
        period: u64,
        work: impl FnOnce(&mut Session) -> Result<(), SrtpError>,
    ) -> Result<(), SrtpError> {
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == period) {
            work(&mut self.kept[at].1)?;
            let (_, session) = self.kept.remove(at);
            self.put_in_front(period, session);
            return Ok(());
        }
        // Without a rate there is only period 0, which is always in front.
        let Source {
            master: Some(master),
            kind,
            has_elements,
        } = &self.source
        else {
            return Err(SrtpError::Engine);
        };
        let mut session =
            derive(master, *kind, *has_elements, period).map_err(|_| SrtpError::Engine)?;
        work(&mut session)?;
        self.put_in_front(period, session);
        Ok(())
    }

    fn put_in_front(&mut self, period: u64, session: Session) {
        let former = std::mem::replace(&mut self.session, session);
        let former_period = std::mem::replace(&mut self.period, period);
        self.kept.truncate(KEPT - 1);
        self.kept.insert(0, (former_period, former));
    }
}

fn derive(
    master: &MasterKey,
    kind: PacketKind,
    has_elements: bool,
    period: u64,
) -> Result<Session, KeyError> {
    let profile = master.profile();
    let (labels, tag_len) = match kind {
        PacketKind::Rtp => (Labels::RTP, profile.rtp_tag_len()),
        PacketKind::Rtcp => (Labels::RTCP, profile.rtcp_tag_len()),
    };
    let keys = SessionKeys::derive(master, labels, period)?;
    let elements = if has_elements {
        let keys = SessionKeys::derive(master, Labels::RTP_HEADER, period)?;
        Some(Box::new(ElementCipher::new(&keys)?))
    } else {
        None
    };
    Ok(Session {
        transform: Transform::new(&keys, tag_len)?,
        elements,
    })
}

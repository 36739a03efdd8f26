//! The stages of a leg, as one table.
//!
//! A leg goes down the table from one row to the next, or ends. A failure belongs to the stage it
//! is about, which may lie ahead: a certificate that does not fit ends a handshake, but what
//! failed is the identity.

/// Where a leg is.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub enum Stage {
    /// ICE looks for a pair of addresses.
    Path,
    /// DTLS agrees on keys.
    Handshake,
    /// The peer's certificate is compared with its fingerprint.
    Identity,
    /// SRTP contexts are made from the exported keys.
    Keys,
    /// Packets flow.
    Media,
}

/// What carries a leg from one stage to the next.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Step {
    PathProved,
    HandshakeCompleted,
    IdentityProved,
    KeysInstalled,
    MediaFlowed,
}

/// Each stage, the step that ends it, and the stage that then begins.
const TABLE: [(Stage, Step, Option<Stage>); 5] = [
    (Stage::Path, Step::PathProved, Some(Stage::Handshake)),
    (
        Stage::Handshake,
        Step::HandshakeCompleted,
        Some(Stage::Identity),
    ),
    (Stage::Identity, Step::IdentityProved, Some(Stage::Keys)),
    (Stage::Keys, Step::KeysInstalled, Some(Stage::Media)),
    (Stage::Media, Step::MediaFlowed, None),
];

/// Failures that DTLS reports during its handshake but that are about a later stage.
const FAILURES_AHEAD: [(&str, Stage); 3] = [
    (
        sealcast_tls::codes::DTLS_FINGERPRINT_MISMATCH,
        Stage::Identity,
    ),
    (
        sealcast_tls::codes::DTLS_NO_PEER_CERTIFICATE,
        Stage::Identity,
    ),
    (sealcast_tls::codes::DTLS_NO_SRTP_PROFILE, Stage::Keys),
];

impl Stage {
    /// All stages in order.
    pub const ALL: [Stage; 5] = [
        Stage::Path,
        Stage::Handshake,
        Stage::Identity,
        Stage::Keys,
        Stage::Media,
    ];

    /// The name in events and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Handshake => "handshake",
            Self::Identity => "identity",
            Self::Keys => "keys",
            Self::Media => "media",
        }
    }

    fn row(self) -> (Step, Option<Stage>) {
        let (_, step, next) = TABLE[self as usize];
        (step, next)
    }
}

/// One change of stage, to be told.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Change {
    Started(Stage),
    Done(Stage),
}

/// How far a leg has come. `None` when every stage is done, or the leg has ended.
pub(crate) struct Progress {
    stage: Option<Stage>,
}

impl Progress {
    pub(crate) const fn new() -> (Self, Change) {
        (
            Self {
                stage: Some(Stage::Path),
            },
            Change::Started(Stage::Path),
        )
    }

    #[cfg(test)]
    const fn stage(&self) -> Option<Stage> {
        self.stage
    }

    /// Takes a step if it is the one this stage waits for; any other changes nothing.
    pub(crate) fn take(&mut self, step: Step, mut tell: impl FnMut(Change)) {
        let Some(stage) = self.stage else { return };
        let (awaited, next) = stage.row();
        if step == awaited {
            tell(Change::Done(stage));
            self.stage = next;
            if let Some(next) = next {
                tell(Change::Started(next));
            }
        }
    }

    /// Ends in the stage that `code` is about, which is this one or one ahead, and returns it;
    /// `None` if every stage was done.
    pub(crate) fn fail(&mut self, code: &str, mut tell: impl FnMut(Change)) -> Option<Stage> {
        let ahead = FAILURES_AHEAD
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, at)| *at);
        while let (Some(stage), Some(target)) = (self.stage, ahead) {
            if stage >= target {
                break;
            }
            self.take(stage.row().0, &mut tell);
        }
        self.stage.take()
    }

    /// Ends without a verdict on the stage.
    pub(crate) fn end(&mut self) {
        self.stage = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_row_per_stage_in_order() {
        for (number, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(TABLE[number].0, stage);
            assert_eq!(TABLE[number].2, Stage::ALL.get(number + 1).copied());
        }
    }

    #[test]
    fn a_step_out_of_turn_changes_nothing() {
        let (mut progress, _) = Progress::new();
        progress.take(Step::KeysInstalled, |change| panic!("{change:?}"));
        assert_eq!(progress.stage(), Some(Stage::Path));
    }

    #[test]
    fn a_failure_about_a_later_stage_is_told_there() {
        let (mut progress, _) = Progress::new();
        progress.take(Step::PathProved, |_| ());
        let mut told = Vec::new();
        let failed = progress.fail("DTLS.FINGERPRINT_MISMATCH", |change| told.push(change));
        assert_eq!(
            told,
            [
                Change::Done(Stage::Handshake),
                Change::Started(Stage::Identity)
            ]
        );
        assert_eq!(failed, Some(Stage::Identity));
        assert_eq!(
            progress.fail("DTLS.TIMEOUT", |_| ()),
            None,
            "it ended already"
        );
    }
}

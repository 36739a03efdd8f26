//! The codes that the front itself gives. Those of a handshake that failed come from `sealcast-tls`
//! and pass through.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal: $sentence:literal;)*) => {
        /// One way in which a door, a connection or a request can end, named once.
        #[derive(Copy, Clone, Debug, Eq, PartialEq, Hash)]
        pub enum Code { $($(#[$doc])* #[doc = $sentence] $variant,)* }

        impl Code {
            /// The string that is the same in events, metrics, problem documents and docs.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Code::$variant => $code,)* }
            }

            /// What happened, in one sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Code::$variant => $sentence,)* }
            }
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];
        }

        /// Every code that this crate itself can give.
        pub const CODES: &[&str] = &[$($code,)*];
    };
}

codes! {
    // Doors and the handle.
    StartFailed = "FRONT.START_FAILED": "The front's threads could not be started.";
    Stopped = "FRONT.STOPPED": "The front has been stopped.";
    BadSecret = "FRONT.BAD_SECRET":
        "The secret between front and application is not at least 32 hexadecimal digits.";
    BadDoor = "FRONT.BAD_DOOR": "The description of a door is not usable.";
    DoorExists = "FRONT.DOOR_EXISTS": "A door of that name is already open.";
    NoSuchDoor = "FRONT.NO_SUCH_DOOR": "There is no door of that name.";
    NoClientRoots = "FRONT.NO_CLIENT_ROOTS":
        "The door asks for client certificates but has no certificate authority to judge them by.";
    BindFailed = "FRONT.BIND_FAILED": "An address of the door could not be bound.";

    // Connections.
    AcceptFailed = "FRONT.ACCEPT_FAILED":
        "The system refused to hand over a waiting connection, usually for want of file descriptors.";
    TooManyConnections = "FRONT.TOO_MANY_CONNECTIONS":
        "The door already has as many connections as it admits.";
    TooManyHandshakes = "FRONT.TOO_MANY_HANDSHAKES":
        "The handshake found no free place within its time limit, or its address holds its share of them.";
    EventsFull = "FRONT.EVENTS_FULL":
        "The application does not drain its events, so a connection that it would have to hear of was refused.";
    IngestFailed = "FRONT.INGEST_FAILED": "No socket pair could be made for an ingest connection.";
    Idle = "TLS.IDLE": "The peer sent nothing for as long as the door waits.";
    PeerClosed = "TLS.PEER_CLOSED": "The peer closed the connection.";
    Revoked = "IDENTITY.REVOKED":
        "The certificate that the connection was opened with has been revoked.";
    ChallengeAnswered = "ACME.CHALLENGE_ANSWERED":
        "A connection asked for the answer to an open challenge of ACME, got it and was closed.";
    ClosedByNode = "NODE.CLOSED_BY_NODE": "The node closed the connection.";

    // Requests.
    BadHttp = "FRONT.BAD_HTTP": "What the client sent is not valid HTTP.";
    HeaderTooLarge = "FRONT.HEADER_TOO_LARGE":
        "The head of a request is larger than the door admits.";
    BadRequest = "FRONT.BAD_REQUEST":
        "The request cannot be forwarded as it is.";
    BodyStalled = "FRONT.BODY_STALLED":
        "The client stopped sending the body of its request, or sent it too slowly.";
    BodyBroken = "FRONT.BODY_BROKEN":
        "The body of a request broke off before its end.";
    AnswerStalled = "FRONT.ANSWER_STALLED":
        "The client stopped taking the answer to its request, or took it too slowly.";
    Http2Flood = "FRONT.HTTP2_FLOOD":
        "The client began and abandoned more over HTTP/2 than a connection may.";
    AppUnavailable = "FRONT.APP_UNAVAILABLE": "The application behind the door does not answer.";
    AppBusy = "FRONT.APP_BUSY":
        "Every connection to the application is in use, or the client holds its share of them.";
    AppTimeout = "FRONT.APP_TIMEOUT": "The application took too long to answer.";
    AppBadAnswer = "FRONT.APP_BAD_ANSWER":
        "The application's answer is not valid HTTP for this request.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Whether a string has the form of a code: `AREA.REASON`, upper case, at most 64 characters.
pub(crate) fn is_code(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.len() <= 64
        && text
            .split_once('.')
            .is_some_and(|(area, reason)| part(area) && part(reason))
}

#[cfg(test)]
mod tests {
    use super::{is_code, Code, CODES};

    #[test]
    fn every_code_of_the_table_has_the_form_of_a_code_and_stands_once() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert!(is_code(code.code()), "{code}");
            assert!(code.sentence().ends_with('.'), "{code}");
            assert!(!CODES[..index].contains(&code.code()), "{code}");
        }
    }

    #[test]
    fn a_string_that_is_not_a_code_is_told_apart() {
        for text in [
            "", ".", "A.", ".B", "a.b", "A B.C", "A.B.C", "A.B\n", "NODE",
        ] {
            assert!(!is_code(text), "{text:?}");
        }
        assert!(is_code("STREAM.TAKEN_OVER"));
    }
}

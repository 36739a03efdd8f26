//! Every limit of the front: sizes, counts, rates and times, in one table.

use std::time::Duration;

/// The limits of one front. [`Limits::default`] is what a node runs with; tests narrow single rows.
#[derive(Clone, Debug)]
pub struct Limits {
    // Per door.
    /// Connections that one door holds at once; one more is closed as it arrives.
    pub connections_per_door: usize,
    /// Handshakes that one door works on at once; one more waits for its turn within `handshake`.
    pub handshakes_per_door: usize,
    /// One address may hold one in so many of a door's places for handshakes, and have so large a
    /// part of its connections wait unproved (see `turns`); and hold so large a part of the places at
    /// the application (see `places`).
    pub address_share: usize,
    /// `handshake_failed` events per second and door; the rest are only counted.
    pub failure_events_per_second: u32,
    /// Length of a door's accept queue in the kernel.
    pub backlog: i32,

    // Per connection.
    /// From the accepted connection to the completed handshake.
    pub handshake: Duration,
    /// A silent TCP peer is asked for a sign of life after this long, then three times at a third
    /// of it: so a vanished one is noticed under a tunnel or an answer that waits, too.
    pub keep_alive: Duration,
    /// A peer that takes none of the bytes that wait for it for this long is gone.
    pub write_stall: Duration,
    /// How long, after we said the last word, we read on so that a reset does not overtake it.
    pub linger: Duration,
    /// How many bytes are read and thrown away meanwhile.
    pub linger_bytes: usize,
    /// Ingest: without a byte for this long the connection ends with `TLS.IDLE`.
    pub ingest_idle: Duration,
    /// Ingest: bytes that wait in the socket pair before the peer is slowed down.
    pub ingest_buffer: usize,

    /// How long a connection that the node ends may take to answer those whose bodies the
    /// application took.
    pub last_words: Duration,

    // HTTP.
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// h1: from the first wait for a request to the end of its head; so also the time that an idle
    /// connection lives.
    pub header_read: Duration,
    /// A client from which we wait for the body of its request and that sends less than
    /// `body_progress` bytes within this time has stalled.
    pub body_stall: Duration,
    /// So a body smaller than this has to arrive within one `body_stall`.
    pub body_progress: usize,
    /// A client for which bytes of an answer wait and that takes less than `answer_progress` of
    /// them within this time has stalled. With many large answers on a slow line each gets its turn
    /// more rarely, so this is as long as `write_stall`.
    pub answer_stall: Duration,
    /// So what is left of an answer and smaller than this has to go within one `answer_stall`.
    pub answer_progress: usize,
    /// Bytes of an answer that are read from the application before the client takes them.
    pub answer_ahead: usize,
    /// Bytes that all answers together may have read ahead.
    pub answer_memory: usize,

    // HTTP/2. Whatever hyper and h2 leave open is set here, so that a new version of theirs changes
    // no limit unseen.
    /// Streams that one connection may have open (RFC 9113 §5.1.2).
    pub h2_streams: u32,
    /// Streams that a client may reset before they were taken up: HEADERS and RST_STREAM that come
    /// in one go.
    pub h2_pending_resets: usize,
    /// Streams that we may have to reset because of a client's errors.
    pub h2_error_resets: usize,
    /// Requests that a client may abandon before their answer begins, beyond those that it let be
    /// answered. Browsers abandon some, but take more.
    pub h2_abandoned: usize,
    /// Bytes of one stream that wait inside HTTP/2 for the connection.
    pub h2_send_buffer: usize,
    /// A connection without a request for this long is told to go.
    pub h2_idle: Duration,
    /// How often a silent peer is asked for a sign of life, and how long it has for it.
    pub h2_ping: Duration,

    // Towards the application.
    /// Connections to the application, tunnels included.
    pub app_connections: usize,
    /// One in so many of these is kept for doors that require a client certificate.
    pub app_reserve: usize,
    /// How many of these one connection of a client may use at once; and one address may use one in
    /// `address_share` of those that its door may use.
    pub app_per_connection: usize,
    /// Bytes that are read from such a connection at once; also the largest head of an answer.
    pub app_read: usize,
    /// Of these, how many may wait idle in the pool, and for how long.
    pub app_idle_connections: usize,
    /// An idle connection older than this is not used again.
    pub app_idle: Duration,
    /// How long a request waits for a connection to the application.
    pub app_wait: Duration,
    /// How long the application may take to begin its answer once it has the whole request, or to
    /// take more of a request's body that is there.
    pub app_answer: Duration,
    /// How long the rest of an exchange may take that nobody waits for any more.
    pub app_finish: Duration,

    // Towards Python.
    /// Events that wait to be drained (see `events` for what happens beyond).
    pub events: usize,
    /// Different codes that one door counts by name; further ones are counted together.
    pub codes_per_door: usize,
    /// How long `stop` waits for connections to end by themselves.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_door: 4096,
            handshakes_per_door: 512,
            address_share: 4,
            failure_events_per_second: 20,
            backlog: 1024,

            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            write_stall: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            linger_bytes: 16 << 20,
            ingest_idle: Duration::from_secs(15),
            ingest_buffer: 256 << 10,

            last_words: Duration::from_millis(500),

            header_bytes: 32 << 10,
            header_read: Duration::from_secs(60),
            body_stall: Duration::from_secs(30),
            body_progress: 1 << 10,
            answer_stall: Duration::from_secs(60),
            answer_progress: 1 << 10,
            answer_ahead: 256 << 10,
            answer_memory: 64 << 20,

            h2_streams: 128,
            h2_pending_resets: 20,
            h2_error_resets: 256,
            h2_abandoned: 100,
            h2_send_buffer: 64 << 10,
            h2_idle: Duration::from_secs(300),
            h2_ping: Duration::from_secs(20),

            app_connections: 1024,
            app_reserve: 8,
            app_per_connection: 32,
            app_read: 64 << 10,
            app_idle_connections: 64,
            app_idle: Duration::from_secs(30),
            app_wait: Duration::from_secs(5),
            app_answer: Duration::from_secs(60),
            app_finish: Duration::from_secs(1),

            events: 4096,
            codes_per_door: 128,
            stop: Duration::from_secs(2),
        }
    }
}

/// Bytes of a TCP read: one full TLS record and the start of the next.
pub(crate) const READ_BUFFER: usize = 32 << 10;

/// Sealed bytes that are gathered before they are written to the socket. Larger writes bring
/// nothing more (measured), smaller ones cost a system call per record.
pub(crate) const COALESCE: usize = 64 << 10;

/// Plaintext of one TLS record, RFC 8446 §5.1.
pub(crate) const RECORD_PLAINTEXT: usize = 16 << 10;

/// A slice below this size is copied together with its neighbours into one record: a head of 200
/// bytes is not worth a record of its own.
pub(crate) const GATHER_BELOW: usize = 8 << 10;

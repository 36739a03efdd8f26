//! What the tests of this crate share: a throw-away CA, a front on loopback, an application behind
//! it, and clients.

#![allow(dead_code)] // Each test file uses its own part.

pub mod app;
pub mod ca;
pub mod client;
pub mod frames;

use std::net::SocketAddr;
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealcast_front::{DoorSpec, Event, FrontConfig, FrontHandle, Limits};

use app::App;
pub use ca::{Ca, Pair};

pub const SECRET: &str = "00112233445566778899aabbccddeeff";

/// A folder of its own, gone with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("front-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        Self(path)
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("app.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A front with one certificate for `localhost`, and what is behind it.
pub struct Front {
    // Ends before what is behind it.
    handle: FrontHandle,
    _app: Option<App>,
    _folder: Option<Folder>,
    pub ca: Ca,
    pub server: Pair,
    pub events: std::cell::RefCell<Vec<Event>>,
}

impl Deref for Front {
    type Target = FrontHandle;

    fn deref(&self) -> &FrontHandle {
        &self.handle
    }
}

impl Front {
    /// In front of an application that answers as its paths say.
    pub fn with_app(limits: Limits) -> Self {
        let folder = Folder::new();
        let app = App::start(&folder.socket());
        Self {
            _app: Some(app),
            ..Self::over(folder, limits)
        }
    }

    /// In front of an application that handles each connection with `serve`.
    pub fn with_raw_app(
        limits: Limits,
        serve: impl Fn(usize, UnixStream) + Send + Sync + 'static,
    ) -> Self {
        let folder = Folder::new();
        app::raw(&folder.socket(), serve);
        Self::over(folder, limits)
    }

    /// In front of nothing.
    pub fn alone(limits: Limits) -> Self {
        Self::over(Folder::new(), limits)
    }

    fn over(folder: Folder, limits: Limits) -> Self {
        let front = Self::start(&folder.socket(), limits);
        Self {
            _folder: Some(folder),
            ..front
        }
    }

    /// In front of whatever listens at a socket of the test's own.
    pub fn start(app: &Path, limits: Limits) -> Self {
        let config = FrontConfig {
            app_socket: app.to_owned(),
            secret: SECRET.to_owned(),
            threads: 2,
        };
        let ca = Ca::new("front test authority");
        let server = ca.server("localhost");
        Self {
            handle: FrontHandle::start_with_limits(config, limits).expect("a front starts"),
            _app: None,
            _folder: None,
            ca,
            server,
            events: Default::default(),
        }
    }

    /// Opens a door and returns its first address.
    pub fn door(&self, spec: DoorSpec) -> SocketAddr {
        let roots =
            (spec.client_auth != sealcast_front::ClientAuthSpec::None).then(|| self.ca.root_pem());
        self.open_door(spec, &self.server.chain, &self.server.key, roots.as_deref())
            .expect("a door on loopback opens")[0]
    }

    pub fn https(&self) -> SocketAddr {
        self.door(spec("public", "https", "none"))
    }

    /// An HTTPS door that requires a client certificate.
    pub fn secure(&self) -> SocketAddr {
        self.door(spec("secure", "https", "required"))
    }

    pub fn ingest(&self) -> SocketAddr {
        self.door(spec("ingest-ts", "tls_ingest", "required"))
    }

    /// How often a code was given at a door.
    pub fn counted(&self, door: &str, code: &str) -> u64 {
        let counters = self.counters();
        counters.doors[door].codes.get(code).copied().unwrap_or(0)
    }

    /// Waits for an event that `pick` takes; earlier ones stay for later questions.
    pub fn wait_for<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> T {
        wait("an event", || {
            let mut events = self.events.borrow_mut();
            events.extend(self.drain_events());
            let (index, found) = events
                .iter()
                .enumerate()
                .find_map(|(index, event)| Some((index, pick(event)?)))?;
            events.remove(index);
            Some(found)
        })
    }

    pub fn opened(&self) -> (u64, std::sync::Arc<sealcast_tls::Facts>) {
        self.wait_for(|event| match event {
            Event::ConnectionOpened {
                connection, facts, ..
            } => Some((*connection, facts.clone())),
            _ => None,
        })
    }

    /// The JSON of the next event of a type.
    pub fn told(&self, kind: &str) -> serde_json::Value {
        self.wait_for(|event| {
            let event = serde_json::to_value(event).expect("an event is JSON");
            (event["type"] == kind).then_some(event)
        })
    }

    pub fn failed(&self) -> (String, String) {
        self.wait_for(|event| match event {
            Event::HandshakeFailed { code, detail, .. } => {
                Some(((*code).to_owned(), detail.clone()))
            }
            _ => None,
        })
    }

    /// Code, detail, bytes in, bytes out.
    pub fn closed(&self, id: u64) -> (String, String, u64, u64) {
        self.wait_for(|event| match event {
            Event::ConnectionClosed {
                connection,
                code,
                detail,
                bytes_in,
                bytes_out,
            } if *connection == id => Some((code.clone(), detail.clone(), *bytes_in, *bytes_out)),
            _ => None,
        })
    }
}

/// A door on a loopback port that the system chooses.
pub fn spec(name: &str, kind: &str, client_auth: &str) -> DoorSpec {
    serde_json::from_value(serde_json::json!({
        "name": name,
        "kind": kind,
        "bind": ["127.0.0.1:0"],
        "min_version": "1.2",
        "max_version": "1.3",
        "groups": "X25519MLKEM768:X25519:P-256:P-384",
        "client_auth": client_auth,
        "hsts": false,
    }))
    .expect("the description of a door")
}

/// Asks until there is an answer, for at most ten seconds.
pub fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait(what, || holds().then_some(()));
}

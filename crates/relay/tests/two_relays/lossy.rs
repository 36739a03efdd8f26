//! A UDP link on loopback that loses media packets: between one asking relay and one that is asked.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The link. Dropping it ends it.
pub struct LossyLink {
    pub address: SocketAddr,
    pub lost: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl LossyLink {
    /// A link to `server` that loses every RTP packet from it for which `loses` is true of its
    /// count.
    pub fn new(
        server: SocketAddr,
        loses_from_server: fn(u64) -> bool,
        loses_from_client: fn(u64) -> bool,
    ) -> LossyLink {
        let bind = || {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback can be bound");
            let wait = Duration::from_millis(50);
            socket
                .set_read_timeout(Some(wait))
                .expect("a timeout can be set");
            socket
        };
        let (to_client, to_server) = (bind(), bind());
        let address = to_client.local_addr().expect("it is bound");
        let (lost, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        // The asking end shows its address with its first datagram.
        let client: Arc<std::sync::OnceLock<SocketAddr>> = Arc::default();
        let share = |socket: &UdpSocket| socket.try_clone().expect("a descriptor is left");
        let forward = {
            let (from, onto) = (share(&to_client), share(&to_server));
            let (stop, lost, client) = (Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&client));
            std::thread::spawn(move || {
                pump(
                    &from,
                    &stop,
                    &lost,
                    loses_from_client,
                    |datagram, sender| {
                        client.get_or_init(|| sender);
                        let _ = onto.send_to(datagram, server);
                    },
                );
            })
        };
        let backward = {
            let (stop, lost) = (Arc::clone(&stop), Arc::clone(&lost));
            std::thread::spawn(move || {
                pump(
                    &to_server,
                    &stop,
                    &lost,
                    loses_from_server,
                    |datagram, _| {
                        if let Some(client) = client.get() {
                            let _ = to_client.send_to(datagram, client);
                        }
                    },
                );
            })
        };
        LossyLink {
            address,
            lost,
            stop,
            threads: vec![forward, backward],
        }
    }
}

impl Drop for LossyLink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn pump(
    from: &UdpSocket,
    stop: &AtomicBool,
    lost: &AtomicU64,
    loses: fn(u64) -> bool,
    mut send: impl FnMut(&[u8], SocketAddr),
) {
    let mut buffer = [0; 2048];
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok((len, sender)) = from.recv_from(&mut buffer) else {
            continue;
        };
        let is_rtp = (128..192).contains(&buffer[0]) && !(192..224).contains(&buffer[1]);
        count += u64::from(is_rtp);
        if is_rtp && loses(count) {
            lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        send(&buffer[..len], sender);
    }
}

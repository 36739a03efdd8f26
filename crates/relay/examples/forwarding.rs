//! Forwarding on one machine: one publisher, 50 viewers, 4 Mbit/s, everything real (ICE, DTLS 1.3,
//! SRTP-GCM, NACK history, RTCP). Prints what the server's thread costs. `cargo run --release
//! --example forwarding [viewers] [seconds]`
//!
//! The viewers live in the same process on threads of their own; only the server thread's CPU time
//! is counted. Loopback delivers inside the sending call, so the kernel's receive path is part of
//! the figure.

#[path = "../tests/two_relays/mod.rs"]
mod two_relays;

use std::time::{Duration, Instant};

use sealcast_relay::spec::LegSide;
use sealcast_relay::Snapshot;
use two_relays::{connect, relay, wait_sealed, Camera, Terms};

const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);
/// 30 frames per second, of which one is six times as long: 35 units of this size are 4 Mbit.
const FRAME_BYTES: usize = 4_000_000 / 8 / 35;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse::<u64>().expect("a number"));
    let viewers = arguments.next().unwrap_or(50);
    let seconds = arguments.next().unwrap_or(10);

    let (publisher, server) = (relay("publisher"), relay("server"));
    connect(&publisher, &server, 1, LegSide::Client, &Terms::default());
    wait_sealed(&[&publisher, &server], 1);
    let joined = Instant::now();
    let clients: Vec<_> = (0..viewers).map(|_| relay("viewer")).collect();
    for (client, id) in clients.iter().zip(100..) {
        connect(&server, client, id, LegSide::Server, &Terms::default());
    }
    for (client, id) in clients.iter().zip(100..) {
        wait_sealed(&[client], id);
    }
    println!("{viewers} viewers joined in {:.0?}", joined.elapsed());

    let mut camera = Camera::new(&publisher, 7, FRAME_BYTES);
    let start = Instant::now();
    let mut shoot = |from: u32, count: u32| {
        for frame in from..from + count {
            camera.shoot();
            std::thread::sleep(
                (start + FRAME_INTERVAL * (frame + 1)).saturating_duration_since(Instant::now()),
            );
        }
    };
    shoot(0, 60);
    let snapshot = || {
        server
            .snapshot(Duration::from_secs(5))
            .expect("the shard answers")
    };
    let (before, began) = (snapshot(), Instant::now());
    shoot(60, seconds as u32 * 30);
    let (after, took) = (snapshot(), began.elapsed());
    report(&before, &after, took);

    let lost: i64 = clients
        .iter()
        .filter_map(|client| client.snapshot(Duration::from_secs(5)).ok())
        .flat_map(|snapshot| snapshot.legs)
        .flat_map(|leg| leg.receive)
        .map(|receive| receive.lost)
        .sum();
    println!("lost by all viewers together: {lost}");
}

fn report(before: &Snapshot, after: &Snapshot, took: Duration) {
    let total = |of: fn(&sealcast_relay::snapshot::SocketSnapshot) -> u64| {
        let sum = |snapshot: &Snapshot| snapshot.sockets.iter().map(of).sum::<u64>();
        (sum(after) - sum(before)) as f64
    };
    let (out, calls) = (
        total(|socket| socket.datagrams_out),
        total(|socket| socket.send_calls),
    );
    let bytes = |snapshot: &Snapshot| snapshot.legs.iter().map(|leg| leg.bytes_out).sum::<u64>();
    let megabits = (bytes(after) - bytes(before)) as f64 * 8.0 / 1e6;
    let cpu = (after.cpu_us - before.cpu_us) as f64 / 1e6;
    println!(
        "sent {out:.0} packets, {megabits:.0} Mbit in {took:.1?}: {:.1} Mbit/s",
        megabits / took.as_secs_f64()
    );
    println!(
        "packets per send call: {:.1}; segmented: {:.0} %",
        out / calls,
        100.0 * total(|socket| socket.segmented) / out
    );
    println!(
        "times that the send buffer was full: {}",
        total(|socket| socket.would_block)
    );
    println!(
        "server thread: {cpu:.2} s of CPU, {:.1} % of one core",
        100.0 * cpu / took.as_secs_f64()
    );
    println!(
        "per packet to a viewer: {:.2} µs; per media Mbit: {:.0} µs",
        cpu * 1e6 / out,
        cpu * 1e6 / megabits
    );
    println!("turns of the loop: {}", after.turns - before.turns);
    for leg in after
        .legs
        .iter()
        .filter(|leg| !leg.drops.is_empty())
        .take(5)
    {
        println!("leg {}: {:?}", leg.id, leg.drops);
    }
}

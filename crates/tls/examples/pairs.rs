//! How many DTLS handshakes one second of processor time pays for: both ends in one thread, fresh
//! certificates for every pair, no network. Prints one JSON object.
//!
//! usage: pairs [SECONDS] [GROUPS]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, Role};
use sealcast_tls::{Fingerprint, FingerprintHash, Identity, Version};

const DEFAULT_GROUPS: &str = "X25519MLKEM768:X25519:P-256";

fn endpoint(
    role: Role,
    identity: &Arc<Identity>,
    peer: Fingerprint,
    groups: &str,
) -> Result<DtlsEndpoint, Box<dyn Error>> {
    let config = DtlsConfig {
        role,
        identity: Arc::clone(identity),
        expected: vec![peer].into(),
        min_version: Version::V1_3,
        max_version: Version::V1_3,
        groups: groups.to_owned(),
        srtp_profiles: "SRTP_AEAD_AES_128_GCM".to_owned(),
        mtu: 1200,
        handshake_timeout: Duration::from_secs(10),
        initial_timeout: Duration::from_millis(400),
    };
    Ok(DtlsEndpoint::new(config, Instant::now())?)
}

fn pair(groups: &str) -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = (
        Arc::new(Identity::ephemeral()?),
        Arc::new(Identity::ephemeral()?),
    );
    let mut server = endpoint(
        Role::Server,
        &ours,
        theirs.fingerprint(FingerprintHash::Sha256),
        groups,
    )?;
    let mut client = endpoint(
        Role::Client,
        &theirs,
        ours.fingerprint(FingerprintHash::Sha256),
        groups,
    )?;
    let now = Instant::now();
    client.tick(now);
    for _ in 0..20 {
        while let Some(datagram) = client.poll_transmit() {
            server.receive(now, &datagram);
        }
        while let Some(datagram) = server.poll_transmit() {
            client.receive(now, &datagram);
        }
        if client.is_established() && server.is_established() {
            let (a, b) = (client.export_srtp(56)?, server.export_srtp(56)?);
            return if *a == *b {
                Ok(())
            } else {
                Err("the two ends exported different keys".into())
            };
        }
    }
    Err("the handshake did not finish in 20 exchanges".into())
}

/// User and system time of this process (getrusage(2)).
fn cpu_seconds() -> f64 {
    // SAFETY: `rusage` is plain old data, and getrusage fills all of it before it returns.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(3.0), |text| text.parse())?;
    let groups = arguments
        .next()
        .unwrap_or_else(|| DEFAULT_GROUPS.to_owned());
    for _ in 0..20 {
        pair(&groups)?;
    }
    let (start, mut pairs) = (cpu_seconds(), 0_u64);
    while cpu_seconds() - start < seconds {
        pair(&groups)?;
        pairs += 1;
    }
    println!(
        "{{\"pairs\": {pairs}, \"cpu_seconds\": {:.6}}}",
        cpu_seconds() - start
    );
    Ok(())
}

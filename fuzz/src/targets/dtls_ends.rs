//! Two DTLS ends that expect each other, made afresh for each input.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sealcast_tls::dtls::{DtlsConfig, DtlsEndpoint, DtlsEvent, Role};
use sealcast_tls::{FingerprintHash, Identity, Version};

use crate::Input;

/// A handshake of ours fails after this long.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of keying material for the first profile offered.
const EXPORTED_LEN: usize = 2 * (16 + 12);

static CLIENT: LazyLock<Arc<Identity>> = LazyLock::new(fresh);
static SERVER: LazyLock<Arc<Identity>> = LazyLock::new(fresh);

fn fresh() -> Arc<Identity> {
    Arc::new(Identity::ephemeral().expect("the engine makes a certificate"))
}

/// One end, with the versions that the input chooses.
pub(super) fn end(role: Role, input: &mut Input<'_>, now: Instant) -> DtlsEndpoint {
    let (own, peer) = match role {
        Role::Client => (&*CLIENT, &*SERVER),
        Role::Server => (&*SERVER, &*CLIENT),
    };
    let (min_version, max_version) = match input.byte() % 3 {
        0 => (Version::V1_2, Version::V1_3),
        1 => (Version::V1_3, Version::V1_3),
        _ => (Version::V1_2, Version::V1_2),
    };
    let config = DtlsConfig {
        role,
        identity: Arc::clone(own),
        expected: vec![peer.fingerprint(FingerprintHash::Sha256)].into(),
        min_version,
        max_version,
        groups: "X25519:P-256".to_owned(),
        srtp_profiles: "SRTP_AEAD_AES_128_GCM".to_owned(),
        mtu: 1200,
        handshake_timeout: HANDSHAKE_TIMEOUT,
        initial_timeout: Duration::from_millis(100),
    };
    DtlsEndpoint::new(config, now).expect("the configuration is admissible")
}

/// What may be true of an endpoint at any time, checked after each of its steps.
pub(super) fn is_in_order(endpoint: &mut DtlsEndpoint) {
    let is_established = endpoint.is_established();
    if is_established {
        assert!(
            endpoint.proved_fingerprint().is_some(),
            "established, but by nobody"
        );
    } else {
        assert!(
            endpoint.export_srtp(EXPORTED_LEN).is_err(),
            "keys before proof"
        );
    }
    while let Some(event) = endpoint.poll_event() {
        if let DtlsEvent::Failed { code, detail } = event {
            assert!(
                sealcast_tls::codes::ALL.contains(&code),
                "{code} is in no table"
            );
            assert!(!detail.is_empty(), "{code} without a sentence");
        }
    }
}

/// The keying material of an established end.
pub(super) fn keys(endpoint: &DtlsEndpoint) -> Vec<u8> {
    let material = endpoint.export_srtp(EXPORTED_LEN);
    material.expect("an established end has keys").to_vec()
}

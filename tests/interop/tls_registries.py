"""Numbers of IANA's TLS registries, by the names that a seal uses for them."""

from __future__ import annotations

from typing import Final

# TLS Supported Groups.
GROUPS: Final = {0x0017: "P-256", 0x0018: "P-384", 0x001D: "X25519", 0x11EC: "X25519MLKEM768"}
# TLS SignatureScheme.
SCHEMES: Final = {
    0x0403: "ecdsa_secp256r1_sha256",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0804: "rsa_pss_rsae_sha256",
    0x0807: "ed25519",
}
# TLS ExtensionType Values.
SERVER_NAME: Final = 0
ALPN: Final = 16
PRE_SHARED_KEY: Final = 41
EARLY_DATA: Final = 42
SUPPORTED_VERSIONS: Final = 43
KEY_SHARE: Final = 51
ECH: Final = 65037

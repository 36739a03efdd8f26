"""Public certificates for doors."""

from typing import Final

from sealcast.codes.row import failures

ROWS: Final = failures(
    "identity",
    (
        "ACME.NOT_INSTALLED",
        "A door's certificate is to come by ACME, and the library for it is not installed.",
        "pip install 'sealcast[acme]'",
    ),
    (
        "ACME.TERMS",
        "The terms of service of the ACME authority have not been agreed to.",
        "Read them, then set acme.terms_agreed = true.",
    ),
    (
        "ACME.UNREACHABLE",
        "The ACME authority cannot be reached, or does not speak ACME.",
        "It is tried again, later each time; the old certificate stays. Check acme.directory, and "
        "that this machine may call it.",
    ),
    (
        "ACME.REFUSED",
        "The ACME authority refused the order.",
        "Its own words are beside this; it is tried again, later each time.",
    ),
    (
        "ACME.BINDING",
        "The ACME authority wants the account bound to one of its customers, and it is not.",
        "Take key ID and HMAC key from your page at the authority (external account binding), put "
        "the key into a file of mode 0600, and set acme.eab_kid and acme.eab_hmac_key_file.",
    ),
    (
        "ACME.RATE_LIMITED",
        "The ACME authority takes no more orders from this account for now.",
        "Nothing: the next order waits as long as it asked for. Do not delete the state folder.",
    ),
    (
        "ACME.CHALLENGE_FAILED",
        "The ACME authority did not find this node under a name that it asked for.",
        "The name must lead here: at port 443 to the public door (tls-alpn-01), or at port 80 to "
        "acme.http_bind (http-01).",
    ),
    (
        "ACME.CHALLENGE_ANSWERED",
        "A connection asked for the answer to an open challenge of ACME, got it and was closed.",
        "Nothing is wrong: the authority checks from several places.",
    ),
)

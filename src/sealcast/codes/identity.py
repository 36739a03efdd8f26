"""The authority: what is asked of it over the network, and what is done with its own files."""

from typing import Final

from sealcast.codes.row import answers, failures

_SIGNALLING: Final = answers(
    "signalling",
    (
        403,
        "IDENTITY.NOT_ALLOWED",
        "This identity is known but may not do that.",
        "Use one that may, or allow it in [[permissions]]; `sealcast identity explain` says what "
        "was looked at.",
    ),
    (
        500,
        "IDENTITY.NOT_FOR_SERVERS",
        "A door's certificate is for clients only (extended key usage).",
        "Give the door one for servers: sealcast identity issue --as server --host NAME.",
    ),
    (
        500,
        "IDENTITY.NOT_FOR_CLIENTS",
        "The certificate to show to another node is for servers only (extended key usage).",
        "Get one for clients: sealcast identity token node/NAME --as client.",
    ),
    (
        500,
        "IDENTITY.CERTIFICATE_MALFORMED",
        "A certificate or key file cannot be read.",
        "Name another file, or restore this one from a backup. What a node made for itself in its "
        "state folder may be removed: it makes a new one.",
    ),
    (
        500,
        "IDENTITY.KEY_EXPOSED",
        "A file with a key or passphrase can be read by others, so it counts as known.",
        "Set its mode to 0600 after making sure that nobody read it, or issue a new one. In "
        "Kubernetes set defaultMode: 0400 at the volume, and fsGroup to a group of this process.",
    ),
    (
        400,
        "IDENTITY.BAD_NAME",
        "That is not a name an identity can have.",
        "Use 1 to 128 of a-z, 0-9, dot, dash, underscore, in parts divided by slashes.",
    ),
    (
        400,
        "IDENTITY.REQUEST_MALFORMED",
        "The certificate signing request cannot be read, or its own signature does not hold.",
        "Send one PKCS#10 request as PEM, signed with the key that it is for.",
    ),
    (
        422,
        "IDENTITY.REQUEST_NAME",
        "The certificate signing request asks for another name than it was to ask for.",
        "Leave the subject empty or put the name alone into CN; the authority adds the SPIFFE ID.",
    ),
    (
        422,
        "IDENTITY.REQUEST_EXTENSION",
        "The certificate signing request asks for something that the profile does not give.",
        "Leave out what the detail names; the profile decides usages and constraints.",
    ),
    (
        422,
        "IDENTITY.REQUEST_IS_AUTHORITY",
        "The certificate signing request is for an authority, and no profile makes one.",
        "Ask for an end's certificate: no CA bit, no right to sign certificates.",
    ),
    (
        422,
        "IDENTITY.WEAK_KEY",
        "The key is too weak, or of a kind that not every peer here can verify.",
        "Use ECDSA on P-256 or P-384, Ed25519, or RSA with 3072 to 4096 bits and exponent 65537.",
    ),
    (
        422,
        "IDENTITY.NOT_OF_PROFILE",
        "The profile does not give what was asked for.",
        "Ask for what the profile gives, or choose another; the detail says which rule it was.",
    ),
    (
        401,
        "IDENTITY.TOKEN_UNKNOWN",
        "This authority never issued that enrolment token.",
        "Copy the whole token as `sealcast identity token` printed it.",
    ),
    (
        401,
        "IDENTITY.TOKEN_EXPIRED",
        "The enrolment token's fifteen minutes are over.",
        "Ask for a new one: `sealcast identity token NAME`.",
    ),
    (
        409,
        "IDENTITY.TOKEN_USED",
        "The enrolment token was used before; if that was not you, somebody else has the name.",
        "See who: `sealcast identity show NAME`. Then ask for a new token.",
    ),
    (
        401,
        "IDENTITY.TOKEN_REVOKED",
        "The enrolment token was revoked together with the name that it is for.",
        "Ask whoever runs the authority for a new one: `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.TOKEN_OTHER",
        "The enrolment token is for another name or another profile.",
        "Ask for a token for this name: `sealcast identity token NAME`.",
    ),
    (
        404,
        "IDENTITY.NO_ISSUER",
        "There is no authority of that serial here, or it is trusted no more.",
        "Take the serial from the chain; or ask for `client`, `server` or `root`.",
    ),
    (
        403,
        "IDENTITY.RENEW_UNKNOWN",
        "The certificate that was shown is not one of this authority, so it is not renewed here.",
        "Enrol instead: ask for a token, `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.RENEW_NO_CERTIFICATE",
        "A renewal came without the certificate that is to be renewed.",
        "Send it to the door that asks for certificates (secure), and show it there.",
    ),
    (
        403,
        "IDENTITY.RENEW_REVOKED",
        "The certificate that was shown has been revoked, so it is not renewed.",
        "Ask the operator why; a new one needs a new token: `sealcast identity token NAME`.",
    ),
    (
        403,
        "IDENTITY.RENEW_EXPIRED",
        "The certificate that was shown has expired, so it can no longer renew itself.",
        "Enrol again: ask the operator for a token, `sealcast identity token NAME`.",
    ),
    (
        429,
        "IDENTITY.TOO_MANY_TRIES",
        "Too many attempts to get a certificate came from this address.",
        "Wait as long as Retry-After says, and use the token exactly as it was printed.",
    ),
)

_IDENTITY: Final = answers(
    "identity",
    (
        403,
        "IDENTITY.REVOKED",
        "The certificate that the leg or connection was opened with has been revoked.",
        "`sealcast identity show` says when and why; if its holder may come back, issue a new one.",
    ),
    (
        403,
        "IDENTITY.EXPIRED",
        "The certificate that the leg or connection was opened with has expired.",
        "Renew before it ends (`sealcast agent` does), and connect again with the new one.",
    ),
    (
        403,
        "IDENTITY.NO_LONGER_TRUSTED",
        "The authority below which the leg or connection was opened left the door's trust bundle.",
        "Connect again with a certificate of an authority that the door trusts now.",
    ),
)

_NODE: Final = failures(
    "node",
    (
        "IDENTITY.UNKNOWN_PROFILE",
        "There is no such profile.",
        "Use service, encoder, viewer, admin or node.",
    ),
    (
        "IDENTITY.PASSPHRASE_MISSING",
        "The authority's key is encrypted, and no passphrase came.",
        "Give --passphrase-file (in the configuration: identity.passphrase_file), of mode 0600.",
    ),
    (
        "IDENTITY.PASSPHRASE_WRONG",
        "The passphrase does not open the authority's key, or that file is damaged.",
        "Give the passphrase of `sealcast identity init`; a damaged key comes from the backup.",
    ),
    (
        "IDENTITY.PASSPHRASE_SHORT",
        "The passphrase is too short to protect an authority.",
        "Use at least 12 characters, such as the output of: openssl rand -base64 32.",
    ),
    (
        "IDENTITY.KEY_UNREADABLE",
        "A file with a key, a certificate or a passphrase cannot be read.",
        "Check the path, and that this user may read the file: keys belong to one user alone.",
    ),
    (
        "IDENTITY.NOT_WRITTEN",
        "A certificate or key file cannot be written.",
        "Make room or choose another folder, then try again; the detail has the system's words.",
    ),
    (
        "IDENTITY.NOT_ITS_FILES",
        "The folder has files of that name that belong to another identity or authority.",
        "Give --out a folder of its own for each end, and for each authority.",
    ),
    (
        "IDENTITY.BACKUP_DAMAGED",
        "The file is not a backup of an authority, or it was changed since it was made.",
        "Take another one: `sealcast identity backup` makes them.",
    ),
    (
        "IDENTITY.LIST_REFUSED",
        "A revocation list is not of this authority, so nothing is revoked by it.",
        "Give lists of `sealcast identity crl`, or what a node served of this authority.",
    ),
    (
        "IDENTITY.OLD_ONE_MAY_RUN",
        "Two copies of one authority know nothing of one another's revocations and tokens.",
        "End the old one for good, then say so: --old-one-is-gone.",
    ),
    (
        "IDENTITY.NO_AUTHORITY",
        "There is no authority in this folder.",
        "Make one with `sealcast identity init`, or name the folder of one: --data, in the "
        "configuration identity.authority.",
    ),
    (
        "IDENTITY.NOT_THROW_AWAY",
        "This node's authority is the one that its configuration names, not a throw-away one.",
        "Give --data with that authority's folder, and --passphrase-file.",
    ),
    (
        "IDENTITY.ALREADY_INITIALISED",
        "The folder is not empty, so no authority is made in it.",
        "Choose a new folder; an authority is never overwritten.",
    ),
    (
        "IDENTITY.STORE_LOCKED",
        "Another process holds the authority's store.",
        "Try again; if it stays, end the process that has the store open.",
    ),
    (
        "IDENTITY.STORE_FULL",
        "The disk of the authority's store is full: nothing can be issued, renewed or rolled.",
        "Make room. A revocation still works: `sealcast identity revoke` has a reserve.",
    ),
    (
        "IDENTITY.RESERVE_SHORT",
        "The disk is so full that the authority cannot keep its reserve for revocations.",
        "Make room; the node takes the reserve back by itself within a minute.",
    ),
    (
        "IDENTITY.STORE_NEWER",
        "The authority's store was written by a newer sealcast than this one.",
        "Use that version or a newer one; stores are brought forward, never back.",
    ),
    (
        "IDENTITY.OTHER_USER",
        "The authority's folder belongs to another user.",
        "Run this as the user whose folder it is, who is the node's: sudo -u USER sealcast …",
    ),
    (
        "IDENTITY.STORE_DAMAGED",
        "The authority's store cannot be read or written.",
        "Restore the folder from a backup. The detail has SQLite's words.",
    ),
    (
        "IDENTITY.AUTHORITY_EXPIRED",
        "The issuing authority's own certificate has expired or is not yet valid.",
        "Compare the clock; else make a new issuing authority with the root's key.",
    ),
    (
        "IDENTITY.OUTSIDE_PROFILE",
        "The authority was about to sign what its profile does not give, and did not.",
        "A fault of ours; report it.",
    ),
    (
        "IDENTITY.UNKNOWN",
        "Nothing like that was ever issued.",
        "List what was: `sealcast identity list`.",
    ),
    (
        "IDENTITY.ROOT_KEY_MISSING",
        "Only the root's key can sign new issuing authorities, and it is not here.",
        "Bring it: --root-key FILE. If it is lost, roll the root too: --root.",
    ),
    (
        "IDENTITY.ROLL_UNDER_WAY",
        "A new root was announced and has not begun; issuing authorities come with it.",
        "Wait for its beginning; or roll the root again: --root.",
    ),
    (
        "IDENTITY.OVERLAP_TOO_SHORT",
        "Nobody could renew in so short an overlap.",
        "Give ten seconds at least; after a theft an hour, for a planned change some days.",
    ),
    (
        "IDENTITY.NOT_A_REASON",
        "A certificate of an end is not revoked for that reason.",
        "Use one of those that `sealcast identity revoke --help` lists.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_IDENTITY, *_NODE)

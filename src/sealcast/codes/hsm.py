"""Keys in PKCS#11 tokens; most of it is met by commands, some by the start of a node."""

from typing import Final

from sealcast.codes.row import failures

ROWS: Final = failures(
    "node",
    (
        "HSM.BAD_URI",
        "A `pkcs11:` URI cannot be read, or names too little.",
        "Write pkcs11:token=NAME;object=KEY?module-path=/…/lib.so&pin-source=file:/…, as RFC 7512 "
        "says.",
    ),
    (
        "HSM.NO_MODULE",
        "The token's PKCS#11 library cannot be loaded.",
        "Give the path of the library that came with the token as module-path=.",
    ),
    (
        "HSM.TOKEN_GONE",
        "The token is not there, or has stopped answering.",
        "Plug it in, or start its service; it is opened afresh when it is next needed. token= is "
        "compared exactly: the token's own tool lists its tokens.",
    ),
    (
        "HSM.AMBIGUOUS",
        "More than one token or key is as the URI says.",
        "Add serial= for the token or id= for the key, so that one is left.",
    ),
    (
        "HSM.PIN_MISSING",
        "The token wants a PIN, and none can be read.",
        "Put it alone into a file of mode 0600 and add pin-source=file:/… to the URI.",
    ),
    (
        "HSM.PIN_WRONG",
        "The token refuses the PIN.",
        "Put the right one into the file; the wrong one is not tried again, since tokens lock "
        "themselves after a few.",
    ),
    (
        "HSM.LAST_TRY",
        "One more wrong PIN would lock the token, so none was tried.",
        "Check the PIN in the file, log in once with the token's own tool, then try again.",
    ),
    (
        "HSM.LOCKED",
        "The token takes no PIN: it locked itself, the PIN has expired, or none was set.",
        "Have its security officer set a new one with the token's own tool.",
    ),
    (
        "HSM.NO_KEY",
        "The token has no private key as the URI says.",
        "Look at its objects with the token's own tool; object= and id= are compared exactly. "
        "`sealcast identity request` makes a key with --new p256.",
    ),
    (
        "HSM.KEY_UNFIT",
        "The token's key cannot do what is asked of it.",
        "Use an ECDSA key on P-256 or P-384, or an RSA key, that may sign, with its public part.",
    ),
    (
        "HSM.KEY_EXISTS",
        "The token has a key of that name, and none is ever overwritten.",
        "Choose another object=, or remove the old key with the token's own tool.",
    ),
    (
        "HSM.KEY_STAYS",
        "A key in a token cannot be taken out of it.",
        "Nothing needs to: use the URI where a key file would be named.",
    ),
    (
        "HSM.FORKED",
        "The token was opened before this process was forked, and its parent goes on with it.",
        "Start a new program for it (spawn, not fork).",
    ),
    (
        "HSM.FAILED",
        "The token could not do it.",
        "The detail has the library's name for it; look there, and at the token's own log.",
    ),
)

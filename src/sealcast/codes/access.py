"""Who may come in: viewers' and publishers' tokens, administrators' accounts."""

from typing import Final

from sealcast.codes.row import answers, failures

_SIGNALLING: Final = answers(
    "signalling",
    (
        401,
        "TOKEN.MISSING",
        "This address asks for a token or a client certificate, and none came.",
        "Send Authorization: Bearer with a token from `sealcast token`.",
    ),
    (
        401,
        "TOKEN.MALFORMED",
        "The token cannot be read.",
        "Copy the whole token as `sealcast token` printed it.",
    ),
    (
        401,
        "TOKEN.EXPIRED",
        "The token's time is over.",
        "Ask for a new one: `sealcast token VERB STREAM --for 1h`.",
    ),
    (
        401,
        "TOKEN.TOO_LONG_LIVED",
        "The token would be valid for more than 24 hours, and a token cannot be revoked.",
        "Ask for at most 24h; an encoder that runs for longer uses a client certificate.",
    ),
    (
        401,
        "TOKEN.NOT_YET_VALID",
        "The token's time has not begun, so one of the two clocks is wrong.",
        "Compare the clock of the machine that issued the token with this node's.",
    ),
    (
        401,
        "TOKEN.WRONG_SIGNATURE",
        "The token was not signed by this node.",
        "Use a token of this node; after its key was changed, old tokens end.",
    ),
    (
        403,
        "TOKEN.WRONG_STREAM",
        "The token is for another stream.",
        "Ask for a token for this stream.",
    ),
    (
        403,
        "TOKEN.WRONG_VERB",
        "The token is for another purpose.",
        "A publisher needs a publish token, a viewer a watch token.",
    ),
    (
        401,
        "ADMIN.REFUSED",
        "The account, the password or the code is wrong, or the account rests after wrong codes.",
        "Try again with the next code; `sealcast admin reset NAME` on the node's machine makes a "
        "new password and secret.",
    ),
    (
        429,
        "ADMIN.TOO_MANY",
        "Too many logins were tried, from this address or at this account.",
        "Wait as long as the detail says; the door `secure` with a client certificate and "
        "`sealcast admin` are not held up.",
    ),
    (
        401,
        "ADMIN.SESSION_OVER",
        "The session is over: too long idle, too old, ended, or its account was changed.",
        "Log in again.",
    ),
)

_NODE: Final = failures(
    "node",
    (
        "ADMIN.BAD_NAME",
        "An account cannot be called that.",
        "Use up to 32 lower-case letters, digits, '.', '_' and '-', as in ada.",
    ),
    (
        "ADMIN.PASSWORD_LENGTH",
        "The password is too short or too long.",
        "Take 12 to 512 characters; several words do well.",
    ),
    (
        "ADMIN.EXISTS",
        "There is an account of that name.",
        "`sealcast admin reset` gives it a new password and secret.",
    ),
    (
        "ADMIN.UNKNOWN",
        "There is no account of that name.",
        "List those that there are: `sealcast admin list`.",
    ),
    (
        "ADMIN.CODE_WRONG",
        "The codes of the app do not fit the new secret.",
        "Compare the clocks of this machine and of the phone, and begin again.",
    ),
    (
        "ADMIN.STORE_DAMAGED",
        "The file of the accounts cannot be read or written.",
        "Check free space; else restore the file, or remove it and add the accounts anew.",
    ),
)

ROWS: Final = (*_SIGNALLING, *_NODE)

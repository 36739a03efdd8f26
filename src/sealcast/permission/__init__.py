"""Who may do what: rules, and the one function that decides by them.

Does: matches names against patterns (`pattern`), holds rules as an operator writes them (`rules`),
knows what a caller can be and what each may do at most (`subject`), and decides (`decision`). A
decision carries every reason in order, so the running node and `sealcast identity explain` say the
same because they ask the same function.

Does not: prove who somebody is. A certificate was judged in the handshake, a token by its
verifier, a password with its code by `sealcast.identity.accounts`. Does not know the time.

The rules, in one paragraph: nothing is allowed until a rule allows it. A rule names who (exact
names and patterns), may what, on which streams, at which doors; rules only ever add, so their order
means nothing. Before the rules stands a ceiling that no rule lifts: what a certificate's profile,
a token's own words or an account may do at most. Two things stand beside the rules: a stream marked
public may be watched by anybody, and a stream that lists its publishers has no others.
"""

from sealcast.permission.decision import Asked, Decision, Reason, decide
from sealcast.permission.pattern import Pattern, finder
from sealcast.permission.rules import Rule, Rulebook, Who, usual_rules
from sealcast.permission.subject import (
    NOBODY,
    Account,
    Certificate,
    Nobody,
    Subject,
    Token,
    identity_of,
    subject_of,
)

__all__ = [
    "NOBODY",
    "Account",
    "Asked",
    "Certificate",
    "Decision",
    "Nobody",
    "Pattern",
    "Reason",
    "Rule",
    "Rulebook",
    "Subject",
    "Token",
    "Who",
    "decide",
    "finder",
    "identity_of",
    "subject_of",
    "usual_rules",
]

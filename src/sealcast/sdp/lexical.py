"""The lexical elements of RFC 8866 §9. Every function returns its value or raises ValueError."""

import re
from typing import Final

# token-char: printable ASCII without separators. Wider than the RFC by what browsers put into
# values that it calls tokens ("{}" in Firefox's msid).
_TOKEN: Final = re.compile(r"[!#$%&'*+\-./0-9A-Z^_`a-z{|}~]+")
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_ICE_CHARS: Final = re.compile(r"[A-Za-z0-9+/]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def number(text: str, largest: int, smallest: int = 0) -> int:
    """A decimal number; other scripts' digits, signs and blanks are refused."""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number")
    value = int(text)
    if not smallest <= value <= largest:
        raise ValueError(f"{value} is not between {smallest} and {largest}")
    return value


def token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a token")
    return text


def ice_chars(text: str, shortest: int, longest: int) -> str:
    """RFC 8839 §5.4: letters, digits, plus and slash."""
    if not shortest <= len(text) <= longest:
        # Not the value: it may be a password.
        raise ValueError(f"{len(text)} characters are not between {shortest} and {longest}")
    if not _ICE_CHARS.fullmatch(text):
        raise ValueError("only letters, digits, + and / may stand here")
    return text


def has_control_characters(text: str) -> bool:
    """Whether something would break out of its line; a tab does not."""
    return _CONTROL.search(text) is not None


def words(text: str, fewest: int) -> list[str]:
    """What is divided by blanks: single ones (RFC 8866), but some stacks write more."""
    found = [word for word in text.split(" ") if word]
    if len(found) < fewest:
        raise ValueError(f"at least {fewest} values divided by blanks must stand here")
    return found


def shown(text: str) -> str:
    """A piece of input as it may stand in a sentence: short, quoted, escaped."""
    return ascii(text if len(text) <= 32 else text[:32] + "…")

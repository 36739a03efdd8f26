"""What is wrong with a configuration file, all of it at once.

Does: walks a parsed document beside the types of `sealcast.node.config` and complains of unknown
keys, wrong types and impossible values, each with its line; then of what no type can say.

Does not: read files.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from sealcast.errors import RemoteError
from sealcast.node.config_words import WORDS, word_flaws
from sealcast.node.toml_lines import line_of
from sealcast.permission.rules import Who, rule_flaws
from sealcast.streams import check_stream_name

if TYPE_CHECKING:
    from sealcast.node.config import Config, Pull

Steps = tuple[str | int, ...]


class Complaint(Struct, frozen=True):
    """One thing that is wrong with the file."""

    code: str
    key: str
    sentence: str
    line: int | None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.sentence}"


# msgspec stops at the first error and hides the key of a table entry (`$.streams[...]`), so the
# walk over tables is made here, and msgspec judges the leaves.


def judge(value: object, kind: Any, steps: Steps, text: str) -> Iterator[Complaint]:
    plain = _plain(kind)
    if isinstance(plain, type) and issubclass(plain, Struct) and isinstance(value, dict):
        yield from _judge_table(value, plain, steps, text)
    elif get_origin(plain) is dict and isinstance(value, dict):
        key_kind, entry_kind = get_args(plain)
        for key, entry in value.items():
            yield from _judge_leaf(key, key_kind, (*steps, key), text, what="the name")
            yield from judge(entry, entry_kind, (*steps, key), text)
    elif get_origin(plain) is list and isinstance(value, list):
        (entry_kind,) = get_args(plain)
        # Tables of an array have a line each; of a list of values the statement is shown.
        tables = isinstance(_plain(entry_kind), type) and issubclass(_plain(entry_kind), Struct)
        flaws = [
            flaw
            for index, entry in enumerate(value)
            for flaw in judge(entry, entry_kind, (*steps, index) if tables else steps, text)
        ]
        yield from flaws
        if not flaws:
            yield from _judge_leaf(value, kind, steps, text)
    else:
        yield from _judge_leaf(value, kind, steps, text)


def _judge_table(
    value: dict[str, object], table: type[Struct], steps: Steps, text: str
) -> Iterator[Complaint]:
    hints = get_type_hints(table, include_extras=True)
    # By the name in the file: a key may be a word that Python keeps for itself.
    kinds = {known.encode_name: hints[known.name] for known in msgspec.structs.fields(table)}
    for key, entry in value.items():
        if key in kinds:
            yield from judge(entry, kinds[key], (*steps, key), text)
            continue
        near = difflib.get_close_matches(key, kinds, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(kinds)}."
        where = _dotted((*steps, key))
        yield Complaint(
            "CONFIG.UNKNOWN_KEY",
            where,
            f"unknown key {where}; {hint}",
            line_of(text, (*steps, key)),
        )
    for known in msgspec.structs.fields(table):
        if known.required and known.encode_name not in value:
            where = _dotted((*steps, known.encode_name))
            yield Complaint(
                "CONFIG.BAD_VALUE",
                where,
                f"{where} is missing",
                line_of(text, steps) if steps else None,
            )


def _judge_leaf(
    value: object, kind: Any, steps: Steps, text: str, *, what: str = ""
) -> Iterator[Complaint]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        where = _dotted(steps)
        subject = f"{what} {where}".strip()
        reason = str(error)
        if isinstance(value, str) and "matching regex" in reason:
            yield Complaint(
                "CONFIG.BAD_VALUE",
                where,
                f"{subject} {_description(kind)}; it is {value!r}",
                line_of(text, steps),
            )
            return
        choices = _choices(kind)
        if isinstance(value, str) and choices:
            near = difflib.get_close_matches(value, choices, n=1)
            asked = f"did you mean {near[0]}? " if near else ""
            yield Complaint(
                "CONFIG.BAD_VALUE",
                where,
                f"{subject} cannot be {value!r}; {asked}it takes {', '.join(choices)}",
                line_of(text, steps),
            )
            return
        reason = re.sub(r" - at `.*`$", "", reason).replace("`", "")
        code = "CONFIG.WRONG_TYPE" if ", got " in reason else "CONFIG.BAD_VALUE"
        yield Complaint(
            code,
            where,
            f"{subject}: {reason[0].lower()}{reason[1:]}; it is {value!r}",
            line_of(text, steps),
        )


def judge_meaning(config: Config, text: str) -> Iterator[Complaint]:
    """What no type can say: real addresses, ports in range, no TCP address twice."""
    seen: dict[str, str] = {}
    doors = config.doors
    binds = {f"doors.{name}.bind": getattr(doors, name).bind for name in doors.__struct_fields__}
    for key, addresses in {**binds, "media.bind": config.media.bind}.items():
        line = line_of(text, key.split("."))
        for address in addresses:
            host, _, port = address.rpartition(":")
            if int(port) > 65535:
                yield Complaint("CONFIG.BAD_VALUE", key, f"{key}: {port} is not a port", line)
            try:
                ipaddress.ip_address(host.strip("[]"))
            except ValueError:
                yield Complaint(
                    "CONFIG.BAD_VALUE", key, f"{key}: {host} is not an IP address", line
                )
            if key == "media.bind" or port == "0":
                continue
            if address in seen:
                yield Complaint(
                    "CONFIG.BAD_VALUE", key, f"{key}: {address} is taken by {seen[address]}", line
                )
            seen[address] = key
    for name in doors.__struct_fields__:
        door = getattr(doors, name)
        if door.certificate in WORDS:
            continue
        if bool(door.certificate) != bool(door.key):
            here, other = ("certificate", "key") if door.certificate else ("key", "certificate")
            yield Complaint(
                "CONFIG.BAD_VALUE",
                f"doors.{name}.{here}",
                f"doors.{name}.{here} comes with doors.{name}.{other}",
                line_of(text, ("doors", name, here)),
            )
    if config.identity.passphrase_file and not config.identity.authority:
        # The node would begin with a throw-away authority, and refuse everybody it knew.
        yield Complaint(
            "CONFIG.BAD_VALUE",
            "identity.passphrase_file",
            "identity.passphrase_file comes with identity.authority",
            line_of(text, ("identity", "passphrase_file")),
        )
    for key, sentence in word_flaws(config):
        line = line_of(text, key.split("."))
        yield Complaint("CONFIG.BAD_VALUE", key, f"{key} {sentence}", line)
    for address in config.media.advertise:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield Complaint(
                "CONFIG.BAD_VALUE",
                "media.advertise",
                f"media.advertise: {address!r} is not an IP address",
                line_of(text, ("media", "advertise")),
            )
    yield from _judge_pulls(config, text)
    trust_domain = config.node.trust_domain
    for index, rule in enumerate(config.permissions):
        for key, sentence in rule_flaws(rule, trust_domain):
            steps: Steps = ("permissions", index, key)
            where = _dotted(steps)
            yield Complaint("CONFIG.BAD_VALUE", where, f"{where}: {sentence}", line_of(text, steps))
    for name, stream in config.streams.items():
        for publisher in stream.publishers:
            try:
                Who.parse(publisher, trust_domain)
            except ValueError as error:
                where = f"streams.{name}.publishers"
                yield Complaint(
                    "CONFIG.BAD_VALUE",
                    where,
                    f"{where}: {publisher!r}: {error}",
                    line_of(text, ("streams", name, "publishers")),
                )


def _judge_pulls(config: Config, text: str) -> Iterator[Complaint]:
    named: dict[str, int] = {}
    for index, pull in enumerate(config.pull):
        for key, sentence in _pull_flaws(config, pull, named):
            steps: Steps = ("pull", index, key)
            where = _dotted(steps)
            # What is missing stands nowhere; its table does.
            line = line_of(text, steps) or line_of(text, steps[:2])
            yield Complaint("CONFIG.BAD_VALUE", where, f"{where} {sentence}", line)
        named.setdefault(pull.as_ or pull.stream, index)


def _pull_flaws(config: Config, pull: Pull, named: dict[str, int]) -> Iterator[tuple[str, str]]:
    try:
        named_port = urlsplit(pull.from_).port
    except ValueError:
        named_port = 0
    if named_port == 0:
        yield "from", f"has no port that can be: {pull.from_!r}"
    if pull.as_:
        try:
            check_stream_name(pull.as_)
        except RemoteError as error:
            yield "as", f"is no name of a stream: {error.detail}"
    here = pull.as_ or pull.stream
    if here in named:
        key = "as" if pull.as_ else "stream"
        yield key, f"names {here}, which pull[{named[here] + 1}] takes already"
    if bool(pull.certificate) != bool(pull.key):
        missing, there = ("key", "certificate") if pull.certificate else ("certificate", "key")
        yield missing, f"is missing: pull[…].{there} comes with it"
    if config.identity.authority:
        return
    # The throw-away authority is known to nobody else: no other node would take its word.
    if not pull.certificate:
        yield "certificate", "is missing: without [identity] no authority issues one"
    if not pull.trust:
        yield "trust", "is missing: without [identity] nothing proves the other node"


def _plain(kind: Any) -> Any:
    """A type without its annotations."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _choices(kind: Any) -> list[str]:
    """The words that a setting takes, where they are few."""
    plain = _plain(kind)
    if get_origin(plain) is Literal:
        return [str(each) for each in get_args(plain)]
    if isinstance(plain, type) and issubclass(plain, Enum):
        return [str(each.value) for each in plain]
    return []


def _description(kind: Any) -> str:
    for extra in get_args(kind)[1:]:
        if isinstance(extra, Meta) and extra.description:
            return extra.description
    return "has a form that is not allowed"


def _dotted(steps: Steps) -> str:
    bare = re.compile(r"^[A-Za-z0-9_-]+$")
    text = ""
    for step in steps:
        if isinstance(step, int):
            # As people count them, and as a decision numbers its rules.
            text += f"[{step + 1}]"
            continue
        text += "." * bool(text) + (step if bare.match(step) else f'"{step}"')
    return text

"""`sealcast identity explain`: may this certificate or token do that, and why.

Exit code 0: allowed at one door at least. 3: refused. 1 and 2, as everywhere: it could not be
found out. So a script can tell a refusal from a file that is not there.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from sealcast.cli.settings import ConfigFile, load_config
from sealcast.cli.wrong_usage import bad_argument
from sealcast.errors import LocalError
from sealcast.identity import TokenKey, TokenVerifier, Verb
from sealcast.permission.rules import DoorName
from sealcast.streams import check_stream_name

if TYPE_CHECKING:
    from sealcast.identity.authority import Authority
    from sealcast.node.config import Config
    from sealcast.node.explain import Explained, Presented, Question

REFUSED: Final = 3
_MARKS: Final = {"yes": "yes", "no": "no", "unknown": "?"}


def explain(
    certificate: Annotated[
        Path | None, Parameter(help="A certificate with its chain (PEM), as it would be shown.")
    ] = None,
    *,
    verb: Annotated[Literal["publish", "watch", "admin", "metrics"], Parameter(help="To do what.")],
    stream: Annotated[
        str | None, Parameter(help="With which stream; publish and watch need one.")
    ] = None,
    door: Annotated[
        DoorName | None,
        Parameter(help="At which door; default: at each where it could be asked."),
    ] = None,
    token_file: Annotated[
        Path | None, Parameter(help="A file with a token, in place of a certificate; - reads it.")
    ] = None,
    data: Annotated[
        Path | None,
        Parameter(
            env_var="SEALCAST_IDENTITY_DATA",
            help="The authority to ask for revocations; default: that of the configuration.",
        ),
    ] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="For programs.")] = False,
    config: ConfigFile = None,
) -> None:
    """Say whether a certificate or token may do something here, and everything that was looked at.

    Exit code 0: allowed; 3: refused; 1: it could not be found out.
    """
    from sealcast.node.explain import (
        Presented,
        Question,
        doors_for,
        explain_certificate,
        explain_token,
    )

    settings = load_config(config)
    wanted = Verb(verb)
    if wanted.needs_stream != (stream is not None):
        fits = "needs --stream" if wanted.needs_stream else "takes no --stream"
        raise bad_argument(f"--verb {verb} {fits}.")
    question = Question(
        wanted,
        "" if stream is None else check_stream_name(stream),
        datetime.datetime.now(datetime.UTC),
    )
    by_token = certificate is None
    doors = (door,) if door is not None else doors_for(settings, wanted, by_token=by_token)
    if (certificate is None) == (token_file is None):
        raise bad_argument("It takes CERTIFICATE or --token-file, one of the two.")
    if certificate is not None:
        presented = Presented.read(_read(certificate))
        authority = _authority(settings, data)
        told = [
            explain_certificate(settings, presented, question, name, authority) for name in doors
        ]
        holder = _holder(presented)
    else:
        assert token_file is not None, "one of the two was given"  # noqa: S101
        token = _token(token_file)
        verifier = _verifier(settings)
        told = [explain_token(settings, token, verifier, question, name) for name in doors]
        holder = {"name": "the holder of the token"}
    if json_:
        print(json.dumps(_as_json(holder, question, told), indent=2))
    else:
        _print(holder, question, told)
    if not any(explained.allowed for explained in told):
        sys.exit(REFUSED)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LocalError("IDENTITY.CERTIFICATE_MALFORMED", f"{file}: {error.strerror}.") from error


def _token(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read().strip()
    return _read(file).decode(errors="replace").strip()


def _authority(settings: Config, data: Path | None) -> Authority | None:
    from sealcast.identity.authority import Authority
    from sealcast.identity.private_files import read_passphrase
    from sealcast.node.own_authority import open_authority

    if data is not None:
        # No key is opened to look something up.
        return Authority.open(data, lambda: read_passphrase(None))
    return open_authority(settings)


def _verifier(settings: Config) -> TokenVerifier:
    from sealcast.node.state_folder import TOKEN_KEY_FILE

    file = settings.state_dir() / TOKEN_KEY_FILE
    if not file.exists():
        raise bad_argument(
            f"--token-file needs the key that signs tokens, and there is no {file}: start the node "
            "once, or name its configuration with --config."
        )
    return TokenVerifier(TokenKey.load_or_create(file))


def _holder(presented: Presented) -> dict[str, str]:
    from sealcast.errors import RemoteError
    from sealcast.permission import identity_of

    try:
        name = identity_of(presented.peer).name
    except RemoteError:
        name = " and ".join(presented.peer.san_uris)
    leaf = presented.leaf
    return {
        "name": name,
        "issuer": presented.peer.issuer,
        "serial": f"{leaf.serial_number:x}",
        "valid": f"{leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%SZ} to "
        f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%SZ}",
    }


def _as_json(
    holder: dict[str, str], question: Question, told: list[Explained]
) -> dict[str, object]:
    return {
        "holder": holder,
        "verb": question.verb.value,
        "stream": question.stream or None,
        "allowed": any(explained.allowed for explained in told),
        "doors": [
            {
                "door": explained.door,
                "allowed": explained.allowed,
                "code": explained.code or None,
                "steps": [
                    {"about": step.about, "answer": step.answer, "sentence": step.sentence}
                    for step in explained.steps
                ],
            }
            for explained in told
        ],
    }


def _print(holder: dict[str, str], question: Question, told: list[Explained]) -> None:
    for key, value in holder.items():
        print(f"{key:<8} {value}")
    purpose = f"{question.verb} {question.stream}".strip()
    for explained in told:
        width = max(len(step.about) for step in explained.steps)
        print(f"\n{purpose} at {explained.door}: {'yes' if explained.allowed else 'no'}")
        for step in explained.steps:
            print(f"  {_MARKS[step.answer]:<4} {step.about:<{width}}  {step.sentence}")
    doors = [explained.door for explained in told if explained.allowed]
    codes = dict.fromkeys(explained.code for explained in told if explained.code)
    print(f"\nallowed at {', '.join(doors)}" if doors else f"\nrefused: {', '.join(codes)}")

"""The example and the page about pylibsrtp do what they say."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session
from tests.unit.srtp_packets import SSRC, rtp

import sealcast.errors
from sealcast import SrtpProfile, SrtpReceiver, SrtpSender

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "protect_a_stream.py"
PAGE = ROOT / "docs" / "migrating-from-pylibsrtp.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_example_runs_on_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}
    done = subprocess.run(  # the example of this repository
        [sys.executable, EXAMPLE], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 5


def test_the_example_protects_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    assert "26 bytes, protected 42" in capsys.readouterr().out


def test_the_example_is_about_fifteen_lines() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and line[0] not in '#"']
    assert len(lines) <= 15


def test_the_blocks_of_the_page_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - a page of this repository
    assert capsys.readouterr().out.startswith("SRTP.REPLAYED: A packet came twice")


def test_every_error_and_option_that_the_page_names_exists() -> None:
    page = PAGE.read_text()
    rows = page.split("## Errors")[1].split("All are")[0]
    for name in re.findall(r"\| `(\w+)`(?: \||;)", rows):
        assert issubclass(getattr(sealcast.errors, name), sealcast.errors.SrtpError)
    for call in re.findall(r"`(sender|receiver)\.(\w+)\(", page):
        assert hasattr({"sender": SrtpSender, "receiver": SrtpReceiver}[call[0]], call[1])


PROFILE = SrtpProfile.AES128_CM_SHA1_80
Outcome = str | type[Exception]


class Both:
    """The same key in both libraries, for one SSRC."""

    def __init__(self) -> None:
        self.key = os.urandom(PROFILE.key_len + PROFILE.salt_len)
        key, salt = self.key[: PROFILE.key_len], self.key[PROFILE.key_len :]
        self.sender = SrtpSender(PROFILE, key, salt, ssrcs=[SSRC], rtp_lifetime=(2990, 3000))
        self.receiver = SrtpReceiver(PROFILE, key, salt)
        self.outbound = Session(
            Policy(key=self.key, ssrc_type=Policy.SSRC_SPECIFIC, ssrc_value=SSRC)
        )
        self.inbound = Session(Policy(key=self.key, ssrc_type=Policy.SSRC_ANY_INBOUND))

    def protect(self, packet: bytes) -> tuple[Outcome, Outcome]:
        return told(self.outbound.protect, packet), told(self.sender.protect, packet)

    def unprotect(self, packet: bytes) -> tuple[Outcome, Outcome]:
        return told(self.inbound.unprotect, packet), told(self.receiver.unprotect, packet)


def told(call: Callable[[bytes], bytes], packet: bytes) -> Outcome:
    """libsrtp's words, or our class."""
    try:
        call(packet)
    except pylibsrtp.Error as error:
        return str(error)
    except sealcast.errors.SrtpError as error:
        return type(error)
    return "done"


def begun(both: Both, packets: int = 1) -> bytes:
    """Lets both ends see so many packets; the first of them, protected."""
    protected = [both.sender.protect(rtp(number)) for number in range(packets)]
    for number, packet in enumerate(protected):
        assert both.outbound.protect(rtp(number)) == packet
        assert both.unprotect(packet) == ("done", "done")
    return protected[0]


def spent(both: Both) -> tuple[Outcome, Outcome]:
    """libsrtp would have to protect 2^48 packets, so its words come from its table."""
    both.sender.protect_many([rtp(number) for number in range(3000)])
    return pylibsrtp.ERRORS[15], told(both.sender.protect, rtp(3000))


def too_short(both: Both) -> tuple[Outcome, Outcome]:
    key = both.key[:20]
    with pytest.raises(ValueError, match="key must contain at least 30 bytes"):
        Session(Policy(key=key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
    with pytest.raises(sealcast.errors.SrtpError) as refused:
        SrtpSender(PROFILE, key[:16], key[16:])
    return "`ValueError` for a short key", type(refused.value)


ROWS: list[tuple[str, str, Callable[[Both], tuple[Outcome, Outcome]]]] = [
    ("replay check failed (bad index)", "unprotect", lambda both: both.unprotect(begun(both))),
    (
        "replay check failed (bad index)",
        "protect",
        lambda both: (begun(both), both.protect(rtp(0)))[1],
    ),
    (
        "replay check failed (index too old)",
        "unprotect",
        lambda both: both.unprotect(begun(both, 1200)),
    ),
    (
        "replay check failed (index too old)",
        "protect",
        lambda both: (begun(both, 1200), both.protect(rtp(0)))[1],
    ),
    (
        "authentication failure",
        "",
        lambda both: both.unprotect(both.sender.protect(rtp(1))[:-10] + bytes(10)),
    ),
    ("can't use key any more", "", spent),
    ("no appropriate context found", "", lambda both: both.protect(rtp(1, ssrc=7))),
    ("unsupported parameter", "", lambda both: both.protect(b"")),
    ("unsupported parameter", "", lambda both: both.protect(b"\x8f" + bytes(20))),
    ("error parsing data", "", lambda both: both.unprotect(b"\x80" + bytes(13))),
    ("`ValueError` for a short key", "", too_short),
]


def test_every_row_of_the_table_of_errors_is_what_both_libraries_say() -> None:
    table = PAGE.read_text().split("## Errors")[1].split("All are")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    shown = set()
    for words, call, scene in ROWS:
        theirs, ours = scene(Both())
        assert theirs == words
        assert isinstance(ours, type), (words, call, ours)
        (line,) = [
            one for one in lines if words in one and (f" on `{call}`" in one if call else True)
        ]
        assert f"| `{ours.__name__}`" in line, (words, call, ours)
        shown.add(line)
    assert shown == set(lines), "every row is shown"


def test_a_version_that_is_not_2_is_refused_here_alone() -> None:
    theirs, ours = Both().protect(bytes(8) + SSRC.to_bytes(4, "big") + bytes(8))
    assert (theirs, ours) == ("done", sealcast.errors.MalformedPacket)

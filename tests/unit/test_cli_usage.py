"""Wrong command lines, and the help of every command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App
from tests.unit.founded import PASSPHRASE, living

from sealcast.cli import main
from sealcast.cli.commands import app
from sealcast.cli.examples import EXAMPLES

SECRET = "an-enrolment-token-that-was-put-where-a-name-belongs"
WIDTH = 80


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as exited:
        main(words)
    code = exited.value.code
    return code if isinstance(code, int) else 0 if code is None else 1


def walk(group: App, *words: str) -> Iterator[tuple[str, ...]]:
    """Every command with all below it."""
    for name in group:
        if not name.startswith("-"):
            yield (*words, name)
            yield from walk(group[name], *words, name)


COMMANDS = sorted(walk(app))


def test_the_walk_meets_every_kind_of_command() -> None:
    assert {("serve",), ("identity", "issue"), ("token", "watch"), ("admin", "add")} <= {*COMMANDS}
    assert {tuple(words.split()) for words in EXAMPLES} == {*COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples_as_they_are_typed(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert run(*words, "--help") == 0
    told = capsys.readouterr().out
    assert "Usage: sealcast " + " ".join(words) in told
    for example in EXAMPLES[" ".join(words)]:
        for line in example.splitlines():
            assert f"    {line}\n" in told, "whole, so that it can be pasted"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_example_is_a_command_line(words: tuple[str, ...]) -> None:
    for example in EXAMPLES[" ".join(words)]:
        parts = shlex.split(example.replace("\\\n", " "))
        typed = parts[parts.index("sealcast") + 1 :]
        if "<" in typed:
            typed = typed[: typed.index("<")]
        assert typed[: len(words)] == [*words]
        app.parse_args(typed, exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("serv", "There is no command 'serv'; did you mean serve? See sealcast --help."),
        ("identity isue", "did you mean issue? See sealcast identity --help."),
        ("identity issue encoder/v --out o --profil encoder", "did you mean --profile?"),
        ("serve --cnfig x", "There is no option --cnfig; did you mean --config?"),
        ("token publish a --x", "There is no option --x; there are --config, --for, "),
        ("token publish", "STREAM is missing: Which stream, such as venue/stage-1."),
        ("identity issue encoder/v", "--out is missing: Folder for certificate, key and authority"),
        ("serve --config", "--config needs a value: "),
        ("token publish a b", "'b' is too much; this command takes STREAM."),
        ("serve b", "'b' is too much; this command takes options only."),
        ("identity issue a/b --out o --as clent", "did you mean client? it takes client, server."),
        ("watch https://h/watch/a --policy stict", "did you mean strict? it takes strict, stand"),
        ("token publish a --for soon", "--for cannot be 'soon'; it takes 90s, 15m, 1h or 7d."),
        ("identity due --data d --within 2w", "--within cannot be '2w'; it takes 90s, "),
        ("identity roll --data d --overlap x --dry-run", "--overlap cannot be 'x'"),
        ("doors --json=maybe", "--json cannot be 'maybe'; it takes no value."),
        ("serve --config a --config b", "--config is given more than once."),
        ("watch https://h/watch/a --cert c", "--cert and --key come together."),
        ("legs --cert c", "--cert and --key come together."),
        ("identity explain --verb publish", "--verb publish needs --stream."),
        ("identity explain --verb admin --stream a", "--verb admin takes no --stream."),
        ("identity explain --verb admin", "CERTIFICATE or --token-file, one of the two."),
        ("identity issue encoder/v --out o --profile encoder", "need an authority: --data."),
        ("publish tls://h --identity a --agnt -- -i x", "There is no option --agnt; did you mean "),
    ],
)
def test_a_wrong_command_line_gets_one_sentence_that_names_the_option(
    line: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("nothing")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.delenv("SEALCAST_IDENTITY_DATA", raising=False)
    assert run(*shlex.split(line)) == 2
    told = capsys.readouterr()
    assert told.err.startswith("sealcast: CLI.BAD_ARGUMENT: That is no command line of sealcast. ")
    assert said in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not list(folder.iterdir()), "nothing was done"


@pytest.mark.parametrize(
    "line",
    [
        f"identity enroll encoder/v {SECRET}",
        f"token {SECRET}",
        f"token publish a --secrt={SECRET}",
        f"token publish a --for {SECRET}",
        f"identity issue encoder/v --out o --as {SECRET}",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*shlex.split(line)) == 2
    told = capsys.readouterr()
    assert SECRET not in told.err + told.out
    assert "CLI.BAD_ARGUMENT" in told.err


def test_an_option_without_its_value_is_not_taken_from_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALCAST_IDENTITY_DATA", "d")
    assert run("identity", "list", "--data") == 2
    assert "--data needs a value: The authority's folder" in capsys.readouterr().err


# ---- mistakes of an operator: each sentence says what, why and what to do ------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An authority, with its passphrase, in a folder of its own."""
    passphrase = tmp_path / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(PASSPHRASE)
    living(tmp_path / "authority")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEALCAST_IDENTITY_DATA", str(tmp_path / "authority"))
    monkeypatch.setenv("SEALCAST_IDENTITY_PASSPHRASE_FILE", str(passphrase))
    return tmp_path / "authority"


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("identity issue encoders/v --out o", 1, "It was 'encoders'; did you mean 'encoder'?"),
        ("identity issue venue-1 --out o", 1, "A name begins with it: encoder/venue-1."),
        ("identity issue encoder/v --for 100d --out o", 1, "it lasts 90 days at most"),
        ("identity issue node/v --as server --out o", 1, "1 to 32 hosts (--host)"),
        (
            "identity issue node/v --as server --host a.example --out o",
            1,
            "a.example is outside the hosts that the authority was made for",
        ),
        ("identity issue encoder/v --out /proc/x", 1, "/proc/x: No such file or directory."),
        ("identity show encoder/v", 1, "There is no record of 'encoder/v'."),
        ("identity revoke encoder/v --serial zz", 1, "'encoder/v' with the serial 'zz'"),
        ("identity init --data n --trust-domain https://a", 1, "as in venue.example, lower case"),
        (
            "identity init --data n --trust-domain a.example --host https://a.example",
            1,
            "as in node.venue.example, without a scheme or a port",
        ),
        (
            "identity init --data n --trust-domain a.example --network 10.0.0.1/8",
            1,
            "as in 192.0.2.0/24, with no host's bits",
        ),
        ("serve --config nowhere.toml", 1, "`sealcast config` prints a whole one to begin with."),
        ("admin add ada", 2, "--password-file is missing, and nobody is at a terminal"),
        (
            "identity enroll --node https://h --authority-fingerprint x --token= --out o",
            2,
            "--token",
        ),
    ],
)
def test_a_mistake_gets_a_sentence_that_says_what_why_and_what_to_do(
    data: Path, line: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*shlex.split(line)) == status
    assert said in capsys.readouterr().err


def test_a_missing_option_that_a_variable_can_give_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SEALCAST_IDENTITY_DATA", raising=False)
    assert run("identity", "list") == 2
    assert "(or set SEALCAST_IDENTITY_DATA)" in capsys.readouterr().err


def test_another_users_folders_are_said_to_be_that(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root can read everything, so the system's refusal is played."""

    def refused(path: Path, *_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    assert run("identity", "list") == 1
    told = capsys.readouterr().err
    assert told.startswith("sealcast: IDENTITY.OTHER_USER: ")
    assert "sudo -u" in told
    monkeypatch.setattr(Path, "exists", refused)
    monkeypatch.setenv("XDG_STATE_HOME", str(data.parent))
    assert run("token", "admin") == 1
    told = capsys.readouterr().err
    assert told.startswith("sealcast: CLI.REFUSED_BY_SYSTEM: ")
    assert ": Permission denied." in told
    assert "Traceback" not in told

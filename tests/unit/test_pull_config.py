"""What the configuration must say of a stream that comes from another node."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealcast.node import config
from sealcast.node.config import ConfigurationRefused, Pull

FROM = 'from = "https://origin.example:8444"\n'
FILES = 'certificate = "edge.pem"\nkey = "edge-key.pem"\ntrust = "authority.pem"\n'
OWN = '[identity]\nauthority = "authority"\n'


def one(more: str, stream: str = "venue/stage-1") -> str:
    return f'[[pull]]\nstream = "{stream}"\n{more}'


def complaints(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(ConfigurationRefused) as refused:
        config.loads(text)
    return [(complaint.key, complaint.line) for complaint in refused.value.complaints]


def test_with_an_authority_a_pull_says_which_stream_and_from_where() -> None:
    (pull,) = config.loads(OWN + one(FROM)).pull
    assert pull == Pull(stream="venue/stage-1", from_="https://origin.example:8444")


def test_without_an_authority_it_says_what_to_show_and_whom_to_trust() -> None:
    (pull,) = config.loads(one(FROM + FILES + 'as = "relayed/stage"')).pull
    assert (pull.as_, pull.key, pull.trust) == ("relayed/stage", "edge-key.pem", "authority.pem")
    # The throw-away authority is nobody's but the node's own.
    assert complaints(one(FROM)) == [("pull[1].certificate", 1), ("pull[1].trust", 1)]


def test_the_effective_configuration_with_a_pull_reads_back_as_itself() -> None:
    loaded = config.loads(one(FROM + FILES + 'as = "relayed/stage"'))
    assert config.loads(config.dumps(loaded)) == loaded


def test_its_files_are_relative_to_the_folder_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "sealcast.toml").write_text(one(FROM + FILES))
    (pull,) = config.load(tmp_path / "sealcast.toml").pull
    files = ("edge.pem", "edge-key.pem", "authority.pem")
    assert (pull.certificate, pull.key, pull.trust) == tuple(str(tmp_path / file) for file in files)


@pytest.mark.parametrize(
    "address",
    ["http://origin.example", "https://", "https://a/b", "https://a:b", "https://u@a", "origin"],
)
def test_an_origin_that_is_no_https_address_is_refused_with_its_line(address: str) -> None:
    assert complaints(OWN + one(f'from = "{address}"\n')) == [("pull[1].from", 5)]


def test_two_pulls_do_not_feed_one_stream() -> None:
    twice = one(FROM) + one(FROM)
    assert complaints(OWN + twice) == [("pull[2].stream", 7)]
    renamed = one(FROM + 'as = "copy"\n')
    assert len(config.loads(OWN + one(FROM) + renamed).pull) == 2
    assert complaints(OWN + renamed + one(FROM, "copy")) == [("pull[2].stream", 8)]


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ('as = "../up"\n', "pull[1].as"),
        ('certificate = "edge.pem"\n', "pull[1].key"),
        ('key = "edge-key.pem"\n', "pull[1].certificate"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(more: str, key: str) -> None:
    assert [found for found, _ in complaints(OWN + one(FROM + more))] == [key]


def test_a_key_that_python_keeps_for_itself_is_known_and_a_wrong_one_is_not() -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        config.loads(OWN + one(FROM.replace("from", "form")))
    assert "unknown key pull[1].form; did you mean from?" in str(refused.value)

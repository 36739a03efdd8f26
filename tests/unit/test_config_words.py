"""What a configuration must say where a door names a word instead of a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sealcast.node.config import Config, ConfigurationRefused, load, loads
from sealcast.node.config_words import acme_names

DIRECTORY = 'directory = "https://acme.example/directory"\n'


def loaded(
    tmp_path: Path, acme: str, doors: str = "", names: str = '["one.venue.example"]'
) -> Config:
    file = tmp_path / "sealcast.toml"
    public = f'[doors.public]\ncertificate = "acme"\n{doors}'
    file.write_text(f"[node]\nnames = {names}\n{public}\n[acme]\n{acme}")
    return load(file)


def test_a_door_by_acme_needs_a_directory_and_agreed_terms_and_a_host_name(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        DIRECTORY + "terms_agreed = true",
        names='["one.venue.example", "::1", "localhost"]',
    )
    assert acme_names(config) == ("one.venue.example",)


@pytest.mark.parametrize(
    ("acme", "names", "said"),
    [
        ("", '["one.venue.example"]', "acme.directory is missing"),
        (DIRECTORY, '["one.venue.example"]', "acme.terms_agreed must be true"),
        (
            'directory = "http://acme.example/"',
            '["one.venue.example"]',
            "must be the https address",
        ),
        (DIRECTORY + "terms_agreed = true", '["localhost", "127.0.0.1"]', "acme.names has no host"),
        (DIRECTORY + "terms_agreed = true", '["bühne.example"]', "which is no host name in ASCII"),
        (
            DIRECTORY + 'terms_agreed = true\nnames = ["*.a.example"]',
            '["a.example"]',
            "no host name",
        ),
        (
            DIRECTORY + 'terms_agreed = true\nchallenge = "http-01"',
            '["one.venue.example"]',
            "acme.http_bind must have an address",
        ),
    ],
)
def test_what_an_authority_would_refuse_is_refused_at_the_start(
    tmp_path: Path, acme: str, names: str, said: str
) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        loaded(tmp_path, acme, names=names)
    assert said in str(refused.value)


def test_tls_alpn_needs_the_public_door(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"acme\.challenge needs the public door"):
        loaded(tmp_path, DIRECTORY + "terms_agreed = true", doors="bind = []")


def test_a_key_beside_the_word_acme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match="brings its own key"):
        loaded(tmp_path, DIRECTORY + "terms_agreed = true", doors='key = "key.pem"')


def test_a_door_by_spiffe_needs_a_socket(tmp_path: Path) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text('[doors.secure]\nclient_ca = "spiffe"\n')
    with pytest.raises(ConfigurationRefused, match=r"spiffe\.socket is missing"):
        load(file)


def test_the_table_on_the_page_about_spiffe_is_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "spiffe.md"
    (table,) = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert loads(table).doors.secure.client_ca == "spiffe"

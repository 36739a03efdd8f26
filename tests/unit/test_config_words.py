"""What a configuration must say where a door names a word instead of a file."""

from __future__ import annotations

import asyncio
import datetime
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.native_stand_ins import FakeFront

from sealcast.errors import LocalError
from sealcast.node.acme_at_work import begin_acme
from sealcast.node.config import Config, ConfigurationRefused, load, loads
from sealcast.node.config_words import acme_names
from sealcast.node.spiffe_at_work import begin_spiffe
from sealcast.node.state_folder import KeyPair


class Nobody:
    """A source that is not asked."""

    name = "nobody"

    def current(self) -> KeyPair:
        raise AssertionError

    def look(self, now: datetime.datetime) -> bool:
        raise AssertionError


DIRECTORY = 'directory = "https://acme.example/directory"\n'


def loaded(
    tmp_path: Path, acme: str, doors: str = "", names: str = '["one.venue.example"]'
) -> Config:
    file = tmp_path / "sealcast.toml"
    public = f'[doors.public]\ncertificate = "acme"\n{doors}'
    file.write_text(f"[node]\nnames = {names}\n{public}\n[acme]\n{acme}")
    return load(file)


def test_a_federated_trust_domain_is_no_file_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text(
        '[spiffe]\nsocket = "unix:///run/spire.sock"\n'
        '[doors.secure]\nclient_ca = "spiffe:other.example"\n'
    )
    with pytest.raises(ConfigurationRefused) as refused:
        load(file)
    [complaint] = refused.value.complaints
    assert (complaint.key, complaint.line) == ("doors.secure.client_ca", 4)
    assert "export its bundle into a PEM file" in complaint.sentence


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


def test_a_node_needs_no_library_of_a_word_that_no_door_says() -> None:
    """As without `sealcast[acme]` and `sealcast[spiffe]`; asked in a process of its own."""
    missing = "import sys; sys.modules.update(acme=None, josepy=None, spiffe=None, grpc=None)"
    begin = (
        "import sealcast.node.supervisor, sealcast.node.acme_at_work, sealcast.node.spiffe_at_work"
    )
    subprocess.run([sys.executable, "-c", f"{missing}; {begin}"], check=True, timeout=60)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (f'[doors.public]\ncertificate = "acme"\n[acme]\n{DIRECTORY}terms_agreed = true', "ACME"),
        ('[doors.public]\ncertificate = "spiffe"\n[spiffe]\nsocket = "unix:///a"', "SPIFFE"),
    ],
)
def test_a_word_without_its_library_is_refused_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, code: str
) -> None:
    for module in ("acme", "sealcast.node.acme_orders", "spiffe", "sealcast.node.spiffe"):
        monkeypatch.setitem(sys.modules, module, None)
    config = loads(f'[node]\nnames = ["one.venue.example"]\n{table}')
    now = datetime.datetime.now(datetime.UTC)

    def begun() -> object:
        if code == "SPIFFE":
            return begin_spiffe(config)
        return asyncio.run(begin_acme(config, tmp_path, FakeFront(), Nobody(), now))

    with pytest.raises(LocalError, match=rf"{code}\.NOT_INSTALLED"):
        begun()


def test_a_door_by_spiffe_needs_a_socket(tmp_path: Path) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text('[doors.secure]\nclient_ca = "spiffe"\n')
    with pytest.raises(ConfigurationRefused, match=r"spiffe\.socket is missing"):
        load(file)


def test_an_own_authority_and_a_workload_api_do_not_both_name_the_ends_of_a_trust_domain() -> None:
    identity = '[identity]\nauthority = "/srv/authority"\n[spiffe]\nsocket = "unix:///a"\n'
    with pytest.raises(ConfigurationRefused) as refused:
        loads(
            '[node]\ntrust_domain = "venue.example"\n[doors.ingest_ts]\nclient_ca = "spiffe"\n'
            + identity
        )
    assert "line 4: doors.ingest_ts.client_ca" in str(refused.value)
    assert "names of venue.example come from one authority" in str(refused.value)
    # What a door shows is another matter than whom it believes.
    assert loads('[doors.secure]\ncertificate = "spiffe"\n' + identity).identity.authority


def test_the_table_on_the_page_about_spiffe_is_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "spiffe.md"
    (table,) = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    assert loads(table).doors.secure.client_ca == "spiffe"

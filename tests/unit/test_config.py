"""The configuration file: every default, every refusal with its key and its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealcast.errors import RemoteError
from sealcast.node import config
from sealcast.node.toml_lines import line_of
from sealcast.streams import check_stream_name


def refusal(text: str) -> config.ConfigurationRefused:
    with pytest.raises(config.ConfigurationRefused) as caught:
        config.loads(text)
    return caught.value


def test_a_door_that_names_only_its_certificate_stays_where_it_was() -> None:
    text = '[doors.public]\ncertificate = "chain.pem"\nkey = "key.pem"\n'
    assert config.loads(text).doors.public.bind == ["0.0.0.0:8443", "[::]:8443"]
    text = '[doors.ingest_ts]\nclient_ca = "venues.pem"\n'
    assert config.loads(text).doors.ingest_ts.bind == ["0.0.0.0:8445", "[::]:8445"]


def test_an_empty_file_is_the_default_configuration() -> None:
    assert config.loads("") == config.Config()
    assert config.Config().doors.public.bind == ["0.0.0.0:8443", "[::]:8443"]
    assert config.Config().doors.secure.bind[0].endswith(":8444")
    assert config.Config().doors.ingest_ts.bind[0].endswith(":8445")
    assert config.Config().media.bind[0].endswith(":8443")
    assert config.Config().policy.delivery == "standard"


@given(st.text("aZ9._-/ é", max_size=12) | st.sampled_from(["a" * 128, "a" * 129, "a/" * 9 + "a"]))
def test_the_file_takes_the_names_that_streams_can_have(name: str) -> None:
    try:
        check_stream_name(name)
    except RemoteError:
        assert refusal(f'[streams."{name}"]\npublic = true').code == "CONFIG.BAD_VALUE"
    else:
        assert name in config.loads(f'[streams."{name}"]\npublic = true').streams


def test_how_long_viewers_wait_for_a_publisher_is_bounded() -> None:
    assert config.Config().node.publisher_grace_s == 15
    assert config.loads("[node]\npublisher_grace_s = 0").node.publisher_grace_s == 0
    assert config.loads("[node]\npublisher_grace_s = 2.5").node.publisher_grace_s == 2.5
    for seconds in ("-1", "301", '"15 s"', "inf", "nan"):
        [complaint] = refusal(f"[node]\npublisher_grace_s = {seconds}\n").complaints
        assert (complaint.key, complaint.line) == ("node.publisher_grace_s", 2), seconds


def test_the_effective_configuration_reads_back_as_itself() -> None:
    text = """
        [streams."venue/stage-1"]
        public = true
        publishers = ["spiffe://sealcast.internal/encoder/venue-1", "token"]
        [ingest.ts.streams]
        "encoder/venue-1" = "venue/stage-1"
        [cors]
        origins = ["https://player.example"]
    """
    loaded = config.loads(text)
    assert loaded.streams["venue/stage-1"].public
    assert config.loads(config.dumps(loaded)) == loaded
    assert config.loads(config.dumps(config.Config())) == config.Config()


def test_an_unknown_key_is_refused_by_name_and_line() -> None:
    refused = refusal(
        '[node]\nstate_dir = "/tmp"\n\n[doors.public]\n# a remark\nbnd = ["0.0.0.0:1"]\nbind = []\n'
    )
    assert refused.code == "CONFIG.UNKNOWN_KEY"
    [complaint] = refused.complaints
    assert (complaint.key, complaint.line) == ("doors.public.bnd", 6)
    assert "did you mean bind?" in str(refused)


def test_an_unknown_table_is_refused_by_name_and_line() -> None:
    [complaint] = refusal("[node]\n[door]\npublic = 1\n").complaints
    assert (complaint.key, complaint.line) == ("door", 2)
    assert "did you mean doors?" in complaint.sentence


def test_an_unknown_key_of_a_stream_names_the_stream() -> None:
    [complaint] = refusal('[streams."venue/stage-1"]\npublic = true\npublik = true\n').complaints
    assert (complaint.key, complaint.line) == ('streams."venue/stage-1".publik', 3)


def test_every_complaint_is_told_at_once_and_in_order() -> None:
    refused = refusal('[policy]\ningest = "lax"\n[node]\nnames = "localhost"\ncolour = 1\n')
    assert [(complaint.code, complaint.line) for complaint in refused.complaints] == [
        ("CONFIG.BAD_VALUE", 2),
        ("CONFIG.WRONG_TYPE", 4),
        ("CONFIG.UNKNOWN_KEY", 5),
    ]
    assert str(refused).count("\n") == 2


@pytest.mark.parametrize(
    ("text", "code", "line", "said"),
    [
        ("[doors]\npublic = 8443\n", "CONFIG.WRONG_TYPE", 2, "doors.public"),
        (
            '[media]\nbind = [\n  "0.0.0.0:8443",\n  8443,\n]\n',
            "CONFIG.WRONG_TYPE",
            2,
            "media.bind",
        ),
        ("[media]\nbind = []\n", "CONFIG.BAD_VALUE", 2, "length"),
        ('[media]\nbind = ["localhost:8443"]\n', "CONFIG.BAD_VALUE", 2, "ADDRESS:PORT"),
        ('[media]\nbind = ["0.0.0.0:99999"]\n', "CONFIG.BAD_VALUE", 2, "99999 is not a port"),
        ('[media]\nbind = ["999.0.0.0:1"]\n', "CONFIG.BAD_VALUE", 2, "not an IP address"),
        ('[media]\n\nadvertise = ["example.org"]\n', "CONFIG.BAD_VALUE", 3, "not an IP address"),
        ('[cors]\norigins = ["http://a.example"]\n', "CONFIG.BAD_VALUE", 2, "HTTPS only"),
        ('[cors]\norigins = ["*"]\n', "CONFIG.BAD_VALUE", 2, "no wildcard"),
        ('[streams."../x"]\npublic = true\n', "CONFIG.BAD_VALUE", 1, "stream's path"),
        ('[streams.a]\npublishers = ["bob"]\n', "CONFIG.BAD_VALUE", 2, "encoder/venue-1"),
        ('[streams.a]\npublic = "yes"\n', "CONFIG.WRONG_TYPE", 2, "bool"),
        ('[ingest.ts.streams]\n"encoder/a" = "/"\n', "CONFIG.BAD_VALUE", 2, "stream's path"),
        (
            '[doors.secure]\nbind = ["0.0.0.0:8443"]\n',
            "CONFIG.BAD_VALUE",
            2,
            "taken by doors.public",
        ),
        ('[identity]\npassphrase_file = "p"\n', "CONFIG.BAD_VALUE", 2, "identity.authority"),
    ],
)
def test_a_wrong_value_names_its_line_and_what_is_admitted(
    text: str, code: str, line: int, said: str
) -> None:
    [complaint] = refusal(text).complaints
    assert (complaint.code, complaint.line) == (code, line)
    assert said in complaint.sentence


def test_a_text_that_is_not_toml_names_the_line() -> None:
    refused = refusal("[node]\nnames = [\n")
    assert refused.code == "CONFIG.SYNTAX"
    assert "line" in str(refused) or "end of document" in str(refused)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigurationRefused) as caught:
        config.load(tmp_path / "sealcast.toml")
    assert caught.value.code == "CONFIG.UNREADABLE"
    assert "does not exist" in str(caught.value)


def test_a_file_that_is_not_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sealcast.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(config.ConfigurationRefused, match="cannot be read"):
        config.load(path)


def test_the_schema_names_every_table() -> None:
    described = config.schema()
    tables = described["$defs"]["Config"]["properties"]
    assert set(tables) == set(config.Config.__struct_fields__)


def test_the_state_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib/somewhere")
    assert config.Config().state_dir() == Path("/var/lib/somewhere/sealcast")
    assert config.loads('[node]\nstate_dir = "/srv/seal"').state_dir() == Path("/srv/seal")


def test_the_line_of_a_key_is_where_its_statement_begins() -> None:
    text = 'a.b = 1\n\n[c]\nlong = """\nb = 2\n"""\nx = [\n1,\n{ y = 3 },\n]\n'
    text += "[[d]]\ne = 1\n[[d]]\ne = 2\n"
    assert line_of(text, ("a", "b")) == 1
    assert line_of(text, ("c", "long")) == 4
    assert line_of(text, ("c", "x")) == 7
    assert line_of(text, ("c", "x", 1, "y")) == 7
    assert line_of(text, ("d", 1, "e")) == 14
    assert line_of(text, ("nothing",)) is None


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "1" * 5000, "x = " + "{a=" * 5000])
def test_what_the_toml_parser_itself_cannot_stand_is_refused_like_any_other_text(text: str) -> None:
    assert refusal(text).code == "CONFIG.SYNTAX"


@given(st.text(max_size=200) | st.text("ab.[]{}='\" \n#0-:T\\u,", max_size=80))
def test_any_text_gives_a_configuration_or_a_refusal(text: str) -> None:
    try:
        config.loads(text)
    except config.ConfigurationRefused as refused:
        assert refused.code.startswith("CONFIG.")  # noqa: PT017 - either outcome is right


# ---- paths -------------------------------------------------------------------------------------

EVERY_PLACE = """\
[node]
state_dir = "state"
[identity]
authority = "keys/authority"
passphrase_file = "../secrets/passphrase"
[acme]
trust = "pebble.pem"
eab_kid = "kid-1"
eab_hmac_key_file = "eab"
[doors.public]
certificate = "tls/cert.pem"
key = "tls/key.pem"
client_ca = "/etc/absolute.pem"
[doors.secure]
certificate = "~/cert.pem"
key = "~/key.pem"
client_ca = "clients.pem"
[doors.ingest_ts]
certificate = "acme"
client_ca = "spiffe"
[doors.origin]
client_ca = "cdn.pem"
"""
WITHOUT_WORDS = EVERY_PLACE.replace('certificate = "acme"', "").replace('"spiffe"', '""')


def test_a_path_in_the_file_is_relative_to_the_files_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    (folder / "sealcast.toml").write_text(WITHOUT_WORDS)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    by_relative_name = config.load(Path("etc/sealcast.toml"))
    monkeypatch.chdir(elsewhere)
    loaded = config.load(Path("../etc/sealcast.toml").absolute())
    doors = loaded.doors
    assert loaded.state_dir().resolve() == folder / "state"
    assert Path(loaded.identity.authority).resolve() == folder / "keys/authority"
    assert Path(loaded.identity.passphrase_file).resolve() == tmp_path / "secrets/passphrase"
    assert Path(loaded.acme.trust).resolve() == folder / "pebble.pem"
    assert Path(loaded.acme.eab_hmac_key_file).resolve() == folder / "eab"
    assert Path(doors.public.certificate).resolve() == folder / "tls/cert.pem"
    assert Path(doors.public.key).resolve() == folder / "tls/key.pem"
    assert doors.public.client_ca == "/etc/absolute.pem"
    assert (doors.secure.certificate, doors.secure.key) == (
        "/home/ada/cert.pem",
        "/home/ada/key.pem",
    )
    assert Path(doors.secure.client_ca).resolve() == folder / "clients.pem"
    assert doors.ingest_ts == config.IngestTsDoor()
    assert Path(by_relative_name.doors.origin.client_ca) == folder / "cdn.pem"
    assert config.loads(config.dumps(loaded)) == loaded


def test_a_word_in_place_of_a_path_and_an_empty_one_stay(tmp_path: Path) -> None:
    file = tmp_path / "sealcast.toml"
    file.write_text(
        '[spiffe]\nsocket = "unix:///run/spire.sock"\n'
        '[doors.secure]\ncertificate = "spiffe"\nclient_ca = "spiffe"\n'
    )
    loaded = config.load(file)
    assert (loaded.doors.secure.certificate, loaded.doors.secure.client_ca) == ("spiffe", "spiffe")
    assert loaded.doors.public == config.PublicDoor()
    assert loaded.spiffe.socket == "unix:///run/spire.sock"
    assert loaded.identity == config.Identity()


def test_a_file_that_is_a_link_has_the_neighbours_of_the_link(tmp_path: Path) -> None:
    """As a ConfigMap of Kubernetes is mounted."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/sealcast.toml").write_text('[node]\nstate_dir = "state"\n')
    (tmp_path / "sealcast.toml").symlink_to("..data/sealcast.toml")
    assert config.load(tmp_path / "sealcast.toml").state_dir() == tmp_path / "state"


def test_every_setting_that_is_a_file_or_a_folder_is_a_path_to_the_schema() -> None:
    """So that none is forgotten when one is added; EVERY_PLACE has them all."""
    places, named = set(), set()
    for table, described in config.schema()["$defs"].items():
        for key, entry in described.get("properties", {}).items():
            if entry.get("format") == "path":
                places.add((table, key))
                assert "folder of this file" in entry["$comment"]
            about = entry.get("description", "")
            if entry.get("type") == "string" and re.search(r"\b(PEM )?file\b|folder|live", about):
                named.add((table, key))
    assert places == named
    keys = {key for _, key in places}
    assert keys | {"eab_kid"} == set(re.findall(r"^(\w+) = ", EVERY_PLACE, re.MULTILINE))


ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_configuration_on_a_page_is_one(page: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        config.loads(block, name=page.name)

"""`pkcs11:` URIs: read strictly, written back, and never told back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealcast.errors import LocalError
from sealcast.identity.key_uri import KeyUri, is_key_uri, parse

WHERE = "?module-path=/usr/lib/softhsm/libsofthsm2.so"


def test_every_part_of_a_uri_is_read() -> None:
    uri = parse(
        "pkcs11:token=Venue%20HSM;manufacturer=ACME;serial=00f1;model=v2;object=encoder;"
        "id=%01%A0b;type=private?module-path=/opt/acme/p11.so&pin-source=file:/run/pin"
    )
    assert uri == KeyUri(
        module_path="/opt/acme/p11.so",
        pin_source=Path("/run/pin"),
        token="Venue HSM",
        manufacturer="ACME",
        serial="00f1",
        model="v2",
        object="encoder",
        id=b"\x01\xa0b",
    )


@pytest.mark.parametrize("source", ["file:/run/pin", "file:///run/pin", "/run/pin"])
def test_a_pin_source_is_a_file(source: str) -> None:
    assert parse(f"pkcs11:token=a{WHERE}&pin-source={source}").pin_source == Path("/run/pin")


_NAMES = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=20
)


@given(
    token=_NAMES,
    name=st.none() | _NAMES,
    ident=st.none() | st.binary(min_size=1, max_size=20),
    module=_NAMES,
    pin=st.none() | _NAMES,
)
def test_what_is_written_is_read_as_it_was(
    token: str, name: str | None, ident: bytes | None, module: str, pin: str | None
) -> None:
    pin_source = None if pin is None else Path("/") / pin.lstrip("/.")
    uri = KeyUri(f"/{module}", pin_source, token=token, object=name, id=ident)
    assert parse(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pkcs11:",
        "/etc/key.pem",
        "pkcs11:token=a",  # no library
        f"pkcs11:object=a{WHERE}",  # no token
        f"pkcs11:token={WHERE}",
        f"pkcs11:token=a;token=b{WHERE}",
        f"pkcs11:token=a;colour=red{WHERE}",
        f"pkcs11:token=a;type=cert{WHERE}",
        f"pkcs11:token=a;id={WHERE}",
        f"pkcs11:token=a%zz{WHERE}",
        f"pkcs11:token=a%ff{WHERE}",
        f"pkcs11:token=a%00{WHERE}",
        f"pkcs11:token=a b{WHERE}",
        f"pkcs11:token=ä{WHERE}",
        "pkcs11:token=a?module-path=softhsm.so",  # a search path would find what lies in it
        f"pkcs11:token=a{WHERE}&pin-source=|cat /run/pin",
        f"pkcs11:token=a{WHERE}&pin-source=%7Ccat%20/run/pin",
        f"pkcs11:token=a{WHERE}&pin-source=pin",
        f"pkcs11:token=a{WHERE}&module-name=softhsm",
        f"pkcs11:token={'a' * 3000}{WHERE}",
    ],
)
def test_what_is_not_understood_whole_is_refused(text: str) -> None:
    with pytest.raises(LocalError) as refused:
        parse(text)
    assert refused.value.code == "HSM.BAD_URI"


def test_a_pin_in_a_uri_is_refused_and_not_told_back() -> None:
    for text in (
        f"pkcs11:token=a{WHERE}&pin-value=271828",
        f"pkcs11:token=a;pin-value=271828{WHERE}",
        f"pkcs11:token=a{WHERE}&pin-valeu=271828",
    ):
        with pytest.raises(LocalError) as refused:
            parse(text)
        assert refused.value.code == "HSM.BAD_URI"
        assert "271828" not in str(refused.value)


@given(st.text() | st.text().map(lambda text: f"pkcs11:{text}"))
def test_any_text_is_a_uri_or_refused_by_its_code(text: str) -> None:
    code = "read"
    try:
        parse(text)
    except LocalError as error:
        code = error.code
    assert code in ("read", "HSM.BAD_URI")
    assert is_key_uri(text) == text.lower().startswith("pkcs11:")

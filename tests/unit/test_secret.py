"""Secrets: nothing shows them."""

import copy
import pickle
import traceback

import pytest

from sealcast import SrtpProfile, SrtpSender
from sealcast.secret import HIDDEN, Secret, redact

VALUE = "correct-horse-battery"


def test_no_way_of_printing_shows_a_secret() -> None:
    secret = Secret(VALUE)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>30}", repr([secret])]
    assert all(VALUE not in text and HIDDEN in text for text in shown)


@pytest.mark.parametrize("value", [16, True, None, [1, 2, 3], 1.0])
def test_what_has_no_bytes_is_no_secret(value: object) -> None:
    with pytest.raises(TypeError, match="bytes-like"):
        Secret(value)  # type: ignore[arg-type]


def test_a_secret_is_not_serialised() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError):
        copy.copy(Secret(VALUE))


def test_a_traceback_does_not_show_a_secret() -> None:
    error = ValueError(Secret(VALUE))
    assert VALUE not in "".join(traceback.format_exception(error))


def test_secrets_are_compared_by_value_and_have_no_hash() -> None:
    assert Secret(VALUE) == Secret(VALUE.encode())
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    with pytest.raises(TypeError):
        hash(Secret(VALUE))


def test_a_wiped_secret_is_empty() -> None:
    secret = Secret(VALUE)
    secret.wipe()
    assert (len(secret), bool(secret)) == (0, False)
    secret.wipe()


def test_a_wiped_secret_gives_nothing_that_could_be_taken_for_a_key() -> None:
    secret = Secret(bytes(range(16)))
    lent = secret.lend()
    secret.wipe()
    assert bytes(lent) == bytes(16)
    for call in (secret.reveal, secret.lend):
        with pytest.raises(ValueError, match="was wiped"):
            call()
    with pytest.raises(ValueError, match="was wiped"):
        SrtpSender(SrtpProfile.AEAD_AES_128_GCM, secret, bytes(12))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_secret_that_is_dropped_while_it_is_lent_is_wiped_without_a_word() -> None:
    secret = Secret(VALUE)
    lent = secret.lend()
    del secret
    assert bytes(lent) == bytes(len(VALUE))


def test_the_redactor_hides_secrets_by_type_and_by_name_at_any_depth() -> None:
    event = {
        "event": "leg opened",
        "leg": 7,
        "token": "eyJ...",
        "Authorization": "Bearer eyJ...",
        "ice": {"local_ufrag": "abcd", "local_pwd": VALUE},
        "keys": [Secret(VALUE), {"passphrase": VALUE}],
    }
    cleaned = redact(None, "info", event)
    assert VALUE not in repr(cleaned)
    assert "eyJ" not in repr(cleaned)
    assert cleaned["leg"] == 7
    assert cleaned["ice"]["local_ufrag"] == "abcd"

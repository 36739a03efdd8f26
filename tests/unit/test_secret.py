"""Secrets: nothing shows them."""

import copy
import pickle
import traceback

import pytest

from sealcast.secret import HIDDEN, Secret, redact

VALUE = "correct-horse-battery"


def test_no_way_of_printing_shows_a_secret() -> None:
    secret = Secret(VALUE)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>30}", repr([secret])]
    assert all(VALUE not in text and HIDDEN in text for text in shown)


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
    assert secret.reveal() == b""
    assert not secret


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

"""The answers to challenges of ACME: the certificate of tls-alpn-01, the listener of http-01."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from cryptography import x509
from tests.unit.native_stand_ins import FakeFront

from sealcast.node import acme_http
from sealcast.node.acme_answers import PE_ACME_IDENTIFIER, HttpAnswers, TlsAnswers, challenge_pair
from sealcast.node.acme_http import ChallengeListener

NAME = "one.venue.example"


def test_the_certificate_has_the_name_alone_and_the_digest_in_a_critical_extension() -> None:
    chain, _ = challenge_pair(NAME, "token.thumbprint")
    leaf = x509.load_pem_x509_certificate(chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.DNSName(NAME)]
    (found,) = (one for one in leaf.extensions if one.oid == PE_ACME_IDENTIFIER)
    assert found.critical
    assert isinstance(found.value, x509.UnrecognizedExtension)
    assert found.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumbprint").digest()


def test_a_challenge_at_the_door_is_opened_and_closed() -> None:
    front = FakeFront()
    answers = TlsAnswers(front, "public")
    answers.open(NAME, "token", "token.thumbprint")
    assert front.challenges["public", NAME] is not None
    answers.close(NAME, "token")
    assert front.challenges == {("public", NAME): None}


OPEN = b"/.well-known/acme-challenge/abc"


async def said(listener: ChallengeListener, request: bytes) -> bytes:
    (address,) = await listener.open(["127.0.0.1:0"])
    try:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()
    finally:
        await listener.close()


def asked(request: bytes) -> bytes:
    answers = HttpAnswers()
    answers.open(NAME, "abc", "abc.thumbprint")
    return asyncio.run(said(ChallengeListener(answers.answer), request))


def test_an_open_challenge_is_answered() -> None:
    answer = asked(b"GET " + OPEN + b" HTTP/1.1\r\nHost: one.venue.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nabc.thumbprint")


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"GET " + OPEN + b"d HTTP/1.1",
        b"GET " + OPEN + b"?a HTTP/1.1",
        b"GET " + OPEN + b"/ HTTP/1.1",
        b"GET /.well-known/acme-challenge/ HTTP/1.1",
        b"GET /.well-known/acme-challenge/../acme-challenge/abc HTTP/1.1",
        b"GET http://one.venue.example" + OPEN + b" HTTP/1.1",
        b"HEAD " + OPEN + b" HTTP/1.1",
        b"POST " + OPEN + b" HTTP/1.1",
        b"GET " + OPEN + b" HTTP/2.0",
        b"GET " + OPEN,
        b"\xff\xfe",
        b"",
    ],
)
def test_everything_else_gets_one_fixed_line(line: bytes) -> None:
    answer = asked(line + b"\r\nHost: one.venue.example\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\nNothing here. This port answers challenges of ACME only.\n")


def test_a_closed_challenge_is_answered_no_more() -> None:
    answers = HttpAnswers()
    answers.open(NAME, "abc", "abc.thumbprint")
    answers.close(NAME, "abc")
    assert answers.answer("abc") is None


def test_a_head_without_end_is_cut_off() -> None:
    assert asked(b"GET " + OPEN + b" HTTP/1.1\r\nA: " + b"a" * 100_000) == b""


def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme_http, "_PATIENCE_S", 0.05)
    assert asked(b"GET ") == b""

"""What a fork copies: contexts, claims to keys, keys of a handshake, endpoints, and locks."""

import os
import signal
import threading
import warnings
from collections.abc import Callable

import pytest
from tests.unit.dtls_link import link
from tests.unit.srtp_packets import ends, fresh, rtp

from sealcast import SrtpProfile, SrtpReceiver, SrtpSender
from sealcast.errors import ContextForked, KeyInUse, LocalError

GCM = SrtpProfile.AEAD_AES_128_GCM
HANGS_AFTER_S = 20


def holds_in_a_child(condition: Callable[[], bool]) -> bool:
    """Whether it holds in a child of a fork; a child that hangs is ended by its own alarm."""
    with warnings.catch_warnings():
        # Threads at work are what some of these tests are about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(HANGS_AFTER_S)
        try:
            os._exit(0 if condition() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def is_forked(call: Callable[[], object]) -> bool:
    try:
        call()
    except LocalError as error:
        return error.code in {"SRTP.CONTEXT_FORKED", "DTLS.FORKED"}
    return False


def test_a_sender_refuses_in_a_child_process_and_goes_on_in_its_parent() -> None:
    sender, receiver = ends()
    early = sender.protect(rtp(1))

    def refuses_but_makes_its_own() -> bool:
        own, theirs = ends()
        listed = [type(one) for one in sender.protect_many([rtp(2)])] == [ContextForked]
        opened = theirs.unprotect(own.protect(rtp(1))) == rtp(1)
        return listed and opened and is_forked(lambda: sender.protect(rtp(2)))

    assert holds_in_a_child(refuses_but_makes_its_own)
    assert receiver.unprotect_many([early, sender.protect(rtp(2))]) == [rtp(1), rtp(2)]


def test_a_receiver_refuses_in_a_child_process_and_goes_on_in_its_parent() -> None:
    sender, receiver = ends()
    packet = sender.protect(rtp(1))
    assert holds_in_a_child(lambda: is_forked(lambda: receiver.unprotect(packet)))
    assert receiver.unprotect(packet) == rtp(1)


def test_a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held() -> None:
    sender, receiver = ends()
    batch = sender.protect_many([rtp(number, bytes(1200)) for number in range(4000)])
    packets = [one for one in batch if isinstance(one, bytes)]
    began, is_over = threading.Event(), threading.Event()

    def work() -> None:
        while not is_over.is_set():
            began.set()
            receiver.unprotect_many(packets)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert began.wait(HANGS_AFTER_S)
        for _ in range(5):
            assert holds_in_a_child(lambda: is_forked(lambda: receiver.unprotect(packets[0])))
    finally:
        is_over.set()
        thread.join()


def test_a_child_cannot_make_a_sender_with_its_parents_key() -> None:
    key, salt = fresh(GCM)
    senders = [SrtpSender(GCM, key, salt)]

    def is_refused() -> bool:
        # In the child the copy goes; in the parent the sender lives.
        senders.clear()
        try:
            SrtpSender(GCM, key, salt)
        except KeyInUse:
            return True
        return False

    assert holds_in_a_child(is_refused)
    sent = senders[0].protect(rtp(1))
    assert SrtpReceiver(GCM, key, salt).unprotect(sent) == rtp(1)


@pytest.mark.filterwarnings("ignore::sealcast.dtls.KeyMaterialRevealed")
def test_keys_of_a_handshake_leave_in_the_process_that_made_them_only() -> None:
    pair = link().settle()
    keys = pair.agreed("client").keys
    assert holds_in_a_child(lambda: is_forked(keys.contexts) and is_forked(keys.reveal))
    sender, _ = keys.contexts()
    _, receiver = pair.agreed("server").keys.contexts()
    assert receiver.unprotect(sender.protect(rtp(1))) == rtp(1)


def test_an_endpoint_writes_records_in_the_process_that_made_it_only() -> None:
    pair = link().settle()

    def refuses_all() -> bool:
        calls: list[Callable[[], object]] = [
            lambda: pair.client.close(pair.now),
            lambda: pair.client.tick(pair.now),
            lambda: pair.client.receive(pair.now, b"\x16"),
            pair.client.drain,
            pair.client.keys,
        ]
        return all(map(is_forked, calls))

    assert holds_in_a_child(refuses_all)
    pair.client.close(pair.now)
    assert len(pair.client.drain()) == 1

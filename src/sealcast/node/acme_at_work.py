"""ACME in a running node: from `[acme]` to a door's source of certificates.

Does: puts the account, the orders and the answers together, and opens the listener of http-01.

Does not: anything at all if no door's `certificate` is the word acme.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sealcast.errors import LocalError
from sealcast.node.acme import AcmePair
from sealcast.node.acme_answers import Answers, HttpAnswers, TlsAnswers
from sealcast.node.acme_http import ChallengeListener
from sealcast.node.acme_store import AcmeStore
from sealcast.node.certificate_sources import Source
from sealcast.node.config import Acme, Config
from sealcast.node.config_words import ACME, acme_names
from sealcast.node.doors import PUBLIC
from sealcast.node.ports import FrontPort
from sealcast.node.state_folder import KeyPair

if TYPE_CHECKING:
    from sealcast.node.acme_orders import Directory


@dataclass(slots=True)
class AcmeAtWork:
    """`pair` is the doors' source; `addresses` are those of the listener."""

    pair: AcmePair
    listener: ChallengeListener | None = None
    addresses: list[str] = field(default_factory=list)

    async def stop(self) -> None:
        if self.listener is not None:
            await self.listener.close()


async def begin_acme(
    config: Config,
    state: Path,
    front: FrontPort,
    stand_in: Source[KeyPair],
    now: datetime.datetime,
) -> AcmeAtWork | None:
    """None where no door asks for it. The first order begins with the first look at the source,
    when the doors are open.

    ACME.NOT_INSTALLED, IDENTITY.KEY_EXPOSED, IDENTITY.KEY_UNREADABLE, FRONT.BIND_FAILED (the
    listener's address).
    """
    doors = config.doors
    if not any(getattr(doors, name).certificate == ACME for name in doors.__struct_fields__):
        return None
    try:
        from sealcast.node.acme_orders import Orders
    except ImportError as error:
        raise LocalError("ACME.NOT_INSTALLED", f"{error}.") from error

    acme = config.acme
    listener = None
    answers: Answers = TlsAnswers(front, PUBLIC)
    if acme.challenge == "http-01":
        answers = http = HttpAnswers()
        listener = ChallengeListener(http.answer)
    store = AcmeStore(state, acme.directory)
    orders = Orders(_directory(acme), store, answers)
    pair = AcmePair(orders, store, acme_names(config), stand_in, now)
    at_work = AcmeAtWork(pair, listener)
    if listener is not None:
        try:
            at_work.addresses = await listener.open(acme.http_bind)
        except OSError as error:
            await listener.close()
            raise LocalError("FRONT.BIND_FAILED", f"acme.http_bind: {error.strerror}.") from error
    return at_work


def _directory(acme: Acme) -> Directory:
    from sealcast.node.acme_account import Binding
    from sealcast.node.acme_orders import Directory

    trust = str(Path(acme.trust).expanduser()) if acme.trust else ""
    binding = None
    if acme.eab_kid:
        binding = Binding(acme.eab_kid, Path(acme.eab_hmac_key_file).expanduser())
        # A wrong file is found now, and not when the account is made at night.
        binding.key()
    return Directory(acme.directory, tuple(acme.contact), acme.terms_agreed, trust, binding)

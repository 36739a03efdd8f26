"""Private keys in tokens: hardware modules, smart cards, SoftHSM (extra `sealcast[pkcs11]`).

Does: opens the key that a `pkcs11:` URI names, so that everything here that signs can sign with it;
makes keys inside a token, from which they cannot be taken out.

Does not: initialise tokens, set PINs, import keys; use PIN pads, or keys that ask for their PIN
anew at each signature.

Of a process: a token is logged in to once, with one session, and the calls to one library take
turns under a lock, because the binding initialises it without leave to be called from several
threads (PKCS#11 v2.40 §5.4). A token that went away is opened afresh when it is next needed. After
a fork the child has no part in it (§5.4: it would have to initialise the library anew) and is told
so. A PIN that was refused is not tried again by this process, and none is tried when the token says
that it is the last try before it locks itself.

The caller must still: keep the PIN in a private file, and expect `sign` to take its time: hardware
needs up to a second, so not on an event loop.

Specs: PKCS#11 v2.40; RFC 7512.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sealcast.errors import LocalError, RemoteError
from sealcast.identity.key_uri import KeyUri
from sealcast.identity.keys import PublicKey, check_strength
from sealcast.identity.private_files import read_private
from sealcast.identity.token_keys import EcTokenKey, RsaTokenKey, TokenKey

if TYPE_CHECKING:
    import pkcs11

# Kind, curve, and the curve as CKA_EC_PARAMS has it: the DER of its OID (RFC 5480 §2.1.1.1).
_CURVES: Final = (
    ("p256", ec.SECP256R1(), bytes.fromhex("06082a8648ce3d030107")),
    ("p384", ec.SECP384R1(), bytes.fromhex("06052b81040022")),
)
KINDS: Final = tuple(kind for kind, _, _ in _CURVES)
"""Kinds of keys that are made in tokens."""

# A token that is not there is looked for again, after these pauses.
_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.2, 0.4)

_T = TypeVar("_T")

# What the library raises (PKCS#11 v2.40 §11.1), by the name of its class: it is imported late. What
# stands in no row is HSM.FAILED with its name.
_CODES: Final = {
    "HSM.PIN_WRONG": ("PinIncorrect", "PinInvalid", "PinLenRange"),
    "HSM.LOCKED": ("PinLocked", "PinExpired", "UserPinNotInitialized"),
    "HSM.KEY_UNFIT": (
        "FunctionRejected",
        "KeyHandleInvalid",
        "KeySizeRange",
        "KeyTypeInconsistent",
        "MechanismInvalid",
        "MechanismParamInvalid",
        "AttributeTypeInvalid",
        "AttributeValueInvalid",
        "DomainParamsInvalid",
        "TemplateInconsistent",
    ),
    "HSM.TOKEN_GONE": (
        "DeviceError",
        "DeviceRemoved",
        "GeneralError",
        "NoSuchToken",
        "ObjectHandleInvalid",
        "SessionClosed",
        "SessionHandleInvalid",
        "SlotIDInvalid",
        "TokenNotPresent",
        "TokenNotRecognised",
        "UserNotLoggedIn",
    ),
}


def open_key(uri: KeyUri) -> TokenKey:
    """The key that `uri` names.

    HSM.NO_MODULE, HSM.TOKEN_GONE, HSM.AMBIGUOUS, HSM.PIN_MISSING, HSM.PIN_WRONG,
    HSM.LAST_TRY, HSM.LOCKED, HSM.NO_KEY, HSM.KEY_UNFIT, HSM.FORKED, HSM.FAILED;
    IDENTITY.KEY_EXPOSED of the PIN's file.
    """
    if not uri.names_a_key:
        raise LocalError("HSM.BAD_URI", "It names no key: add object= or id=.")
    held = _HeldKey(uri)
    public = held.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return EcTokenKey(public, held)
    if isinstance(public, rsa.RSAPublicKey):
        return RsaTokenKey(public, held)
    raise LocalError("HSM.KEY_UNFIT", "It is of a kind that is not used from tokens.")


def make_key(uri: KeyUri, kind: str) -> TokenKey:
    """A new key in the token that `uri` names, called as its `object` says; it cannot be taken out.

    `kind` is one of `KINDS`. Besides the refusals of `open_key`: HSM.KEY_EXISTS,
    IDENTITY.WEAK_KEY.
    """
    parameters = next((der for name, _, der in _CURVES if name == kind), None)
    if parameters is None:
        raise LocalError("IDENTITY.WEAK_KEY", f"In a token: {' or '.join(KINDS)}.")
    if uri.object is None:
        raise LocalError("HSM.BAD_URI", "A new key needs a name: add object=.")
    with _module(uri.module_path) as module:
        token = module.token(uri)
        module.login(token, uri)
        # One for writing: the session that stays is for reading, with which nothing can be lost.
        session = module.asked(lambda: token.open(rw=True))
        try:
            if _objects(module, session, uri, "PRIVATE_KEY") or _objects(
                module, session, uri, "PUBLIC_KEY"
            ):
                raise LocalError("HSM.KEY_EXISTS", f"It is called {uri.object!r}.")
            module.asked(lambda: _generate(session, uri, parameters))
        finally:
            module.end(session)
    return open_key(uri)


def remove_key(uri: KeyUri) -> None:
    """Destroys a key and its public part: for one that was made and then not used.

    HSM.NO_KEY, and the refusals of `open_key`.
    """
    with _module(uri.module_path) as module:
        token = module.token(uri)
        module.login(token, uri)
        session = module.asked(lambda: token.open(rw=True))
        try:
            found = [
                one
                for kind in ("PRIVATE_KEY", "PUBLIC_KEY")
                for one in _objects(module, session, uri, kind)
            ]
            if not found:
                raise LocalError("HSM.NO_KEY")
            for one in found:
                module.asked(one.destroy)
        finally:
            module.end(session)


class _HeldKey:
    """A key by its URI. Handles are looked up in the session that is open now."""

    def __init__(self, uri: KeyUri) -> None:
        self._uri = uri
        self._session: object = None
        self._private: Any = None

    def public_key(self) -> PublicKey:
        def read(module: _Module, session: pkcs11.Session) -> PublicKey:
            return _public_key(module, session, self._uri, self._find(module, session))

        return self._with_session(read)

    def ecdsa(self, digest: bytes) -> bytes:
        import pkcs11

        return self._sign(digest, pkcs11.Mechanism.ECDSA)

    def rsa_pkcs1(self, digest_info: bytes) -> bytes:
        import pkcs11

        return self._sign(digest_info, pkcs11.Mechanism.RSA_PKCS)

    def rsa_pss(self, digest: bytes, hash_name: str) -> bytes:
        import pkcs11

        name = hash_name.upper()
        param = (pkcs11.Mechanism[name], pkcs11.MGF[name], len(digest))
        return self._sign(digest, pkcs11.Mechanism.RSA_PKCS_PSS, param)

    def _sign(self, data: bytes, mechanism: pkcs11.Mechanism, param: object = None) -> bytes:
        def sign(module: _Module, session: pkcs11.Session) -> bytes:
            private = self._find(module, session)
            made = module.asked(
                lambda: private.sign(data, mechanism=mechanism, mechanism_param=param)
            )
            return bytes(made)

        return self._with_session(sign)

    def _find(self, module: _Module, session: pkcs11.Session) -> Any:
        if self._session is not session:
            self._private, self._session = _private_key(module, session, self._uri), session
        return self._private

    def _with_session(self, work: Callable[[_Module, pkcs11.Session], _T]) -> _T:
        with _module(self._uri.module_path) as module:
            known = module.session(self._uri)
            if known is not None:
                try:
                    return work(module, known)
                except LocalError as error:
                    if error.code != "HSM.TOKEN_GONE":
                        raise
                    # It was there before, and may be there again.
                    self._session = None
                    module.forget(self._uri)
            try:
                return work(module, module.login(module.token(self._uri), self._uri))
            except LocalError as error:
                if error.code == "HSM.TOKEN_GONE":
                    self._session = None
                    module.forget(self._uri)
                raise


class _Module:
    """A PKCS#11 library in this process. Its methods are called with its lock held."""

    def __init__(self, path: str) -> None:
        self.lock = threading.RLock()
        self.made_in = os.getpid()
        self._errors, self._library = _load(path)
        # By the URI that they were opened for, and by the token's serial number.
        self._sessions: dict[str, pkcs11.Session] = {}
        self._logins: dict[bytes, pkcs11.Session] = {}
        self._refused: dict[bytes, bytes] = {}

    def asked(self, call: Callable[[], _T]) -> _T:
        """`call`, with the library's errors in our words."""
        try:
            return call()
        except self._errors as error:
            name = type(error).__name__
            code = next((code for code, names in _CODES.items() if name in names), "HSM.FAILED")
            raise LocalError(code, f"The token's library says {name}.") from None

    def token(self, uri: KeyUri) -> pkcs11.Token:
        """The one token that fits."""
        found = self._fitting(uri)
        for pause_s in () if found or self._logins else _PAUSES_S:
            # Some libraries look for tokens only when they are initialised, and do not see one that
            # came later, or that another process was writing to just then (SoftHSM). With a token
            # open it is not done: its session would end.
            threading.Event().wait(pause_s)
            with suppress(LocalError):
                self.asked(self._library.reinitialize)
            found = self._fitting(uri)
            if found:
                break
        if not found:
            raise LocalError("HSM.TOKEN_GONE", "No token in any slot is as the URI says.")
        if len(found) > 1:
            raise LocalError("HSM.AMBIGUOUS", f"{len(found)} tokens are as the URI says.")
        return found[0]

    def _fitting(self, uri: KeyUri) -> list[pkcs11.Token]:
        found: list[pkcs11.Token] = []
        try:
            # Nothing, unless it was left without by a look that failed.
            self.asked(self._library.initialize)
            slots = self.asked(lambda: self._library.get_slots(token_present=True))
        except LocalError:
            return found  # looked for again, and then it is what is told
        for slot in slots:
            # A reader without its card says so when it is asked for its token.
            with suppress(LocalError):
                token = self.asked(slot.get_token)
                if _fits(token, uri):
                    found.append(token)
        return found

    def session(self, uri: KeyUri) -> pkcs11.Session | None:
        return self._sessions.get(str(uri))

    def login(self, token: pkcs11.Token, uri: KeyUri) -> pkcs11.Session:
        """The session of this token; the first one logs in."""
        session = self._logins.get(token.serial)
        if session is None:
            session = self._logins[token.serial] = self._log_in(token, uri)
        self._sessions[str(uri)] = session
        return session

    def _log_in(self, token: pkcs11.Token, uri: KeyUri) -> pkcs11.Session:
        from pkcs11 import TokenFlag

        pin, digest = _pin(uri)
        if token.flags & TokenFlag.USER_PIN_LOCKED:
            raise LocalError("HSM.LOCKED", "Its PIN is locked.")
        if self._refused.get(token.serial) == digest:
            raise LocalError("HSM.PIN_WRONG", "It was refused before, and is not tried again.")
        if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
            raise LocalError("HSM.LAST_TRY")
        try:
            return self.asked(lambda: token.open(user_pin=pin))
        except LocalError as error:
            if error.code == "HSM.PIN_WRONG":
                self._refused[token.serial] = digest
            if error.detail.endswith("UserAlreadyLoggedIn."):
                # Somebody else in this process is; a session without a login shares it (§5.6.7).
                return self.asked(token.open)
            raise

    def forget(self, uri: KeyUri) -> None:
        """Gives up the session of `uri` and all that shared it."""
        lost = self._sessions.get(str(uri))
        if lost is None:
            return
        self._sessions = {key: one for key, one in self._sessions.items() if one is not lost}
        self._logins = {key: one for key, one in self._logins.items() if one is not lost}
        self.end(lost)

    def end(self, session: pkcs11.Session) -> None:
        # Of a token that is gone there is nothing to end.
        with suppress(LocalError):
            self.asked(session.close)


_MODULES: dict[str, _Module] = {}
_MODULES_LOCK = threading.Lock()


@contextmanager
def _module(path: str) -> Iterator[_Module]:
    """The library at `path`, alone."""
    known = _MODULES.get(path)
    if known is None:
        with _MODULES_LOCK:
            known = _MODULES.get(path)
            if known is None:
                known = _MODULES[path] = _Module(path)
    # Asked before its lock: in a child a thread may hold it that was not forked with it.
    if known.made_in != os.getpid():
        raise LocalError("HSM.FORKED")
    with known.lock:
        yield known


def _load(path: str) -> tuple[type[Exception], Any]:
    try:
        import pkcs11
    except ImportError:
        raise LocalError("HSM.NO_MODULE", "Run: pip install 'sealcast[pkcs11]'.") from None
    try:
        return pkcs11.PKCS11Error, pkcs11.lib(path)
    except (RuntimeError, OSError) as error:
        # The loader's words are about the file; there is no secret in them.
        reason = str(error) or type(error).__name__
        raise LocalError("HSM.NO_MODULE", f"{path}: {reason}") from None


def _pin(uri: KeyUri) -> tuple[str, bytes]:
    """The PIN, and a digest by which it is known again."""
    if uri.pin_source is None:
        raise LocalError("HSM.PIN_MISSING", "The URI has no pin-source=file:….")
    try:
        octets = read_private(uri.pin_source).rstrip(b"\r\n")
    except OSError as error:
        reason = f"{uri.pin_source}: {error.strerror}."
        raise LocalError("HSM.PIN_MISSING", reason) from error
    try:
        # The binding takes text, which Python cannot wipe.
        pin = octets.decode()
    except UnicodeDecodeError:
        pin = ""
    if not pin:
        raise LocalError("HSM.PIN_MISSING", f"{uri.pin_source} holds no text.")
    return pin, hashlib.sha256(octets).digest()


def _fits(token: pkcs11.Token, uri: KeyUri) -> bool:
    wanted = (
        (uri.token, token.label),
        (uri.serial, token.serial.decode("utf-8", "replace")),
        (uri.manufacturer, token.manufacturer_id),
        (uri.model, token.model),
    )
    return all(want is None or want == has for want, has in wanted)


def _objects(module: _Module, session: pkcs11.Session, uri: KeyUri, kind: str) -> list[Any]:
    """The objects of a class that the URI names."""
    import pkcs11

    wanted: dict[pkcs11.Attribute, object] = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind],
    }
    if uri.object is not None:
        wanted[pkcs11.Attribute.LABEL] = uri.object
    if uri.id is not None:
        wanted[pkcs11.Attribute.ID] = uri.id
    return module.asked(lambda: list(session.get_objects(wanted)))


def _private_key(module: _Module, session: pkcs11.Session, uri: KeyUri) -> Any:
    import pkcs11

    found = _objects(module, session, uri, "PRIVATE_KEY")
    if not found:
        raise LocalError("HSM.NO_KEY")
    if len(found) > 1:
        raise LocalError("HSM.AMBIGUOUS", f"{len(found)} private keys are as the URI says.")
    key = found[0]
    if not hasattr(key, "sign"):
        raise LocalError("HSM.KEY_UNFIT", "It is not marked for signing (CKA_SIGN).")
    try:
        asks_each_time = module.asked(lambda: key[pkcs11.Attribute.ALWAYS_AUTHENTICATE])
    except LocalError:
        asks_each_time = False  # a token that does not know the attribute
    if asks_each_time:
        raise LocalError("HSM.KEY_UNFIT", "It asks for its PIN anew at each signature.")
    return key


def _public_key(module: _Module, session: pkcs11.Session, uri: KeyUri, private: Any) -> PublicKey:
    """The public part: of RSA it stands beside the private one, of ECDSA in an object of its own
    (§2.3.3) with the same CKA_ID, or the same name.
    """
    from pkcs11 import Attribute, KeyType

    kind = module.asked(lambda: private.key_type)
    if kind == KeyType.RSA:
        modulus = int.from_bytes(module.asked(lambda: private[Attribute.MODULUS]), "big")
        exponent = int.from_bytes(module.asked(lambda: private[Attribute.PUBLIC_EXPONENT]), "big")
        return _strong(lambda: rsa.RSAPublicNumbers(exponent, modulus).public_key())
    if kind != KeyType.EC:
        raise LocalError("HSM.KEY_UNFIT", "It is neither ECDSA nor RSA.")
    ident = module.asked(lambda: private.id)
    found = _objects(module, session, replace(uri, id=ident or None), "PUBLIC_KEY")
    if len(found) != 1:
        raise LocalError(
            "HSM.KEY_UNFIT",
            f"Its public part is needed too, and {len(found)} objects could be it.",
        )
    public = found[0]
    parameters = module.asked(lambda: public[Attribute.EC_PARAMS])
    point = module.asked(lambda: public[Attribute.EC_POINT])
    curve = next((curve for _, curve, der in _CURVES if der == parameters), None)
    if curve is None:
        raise LocalError("HSM.KEY_UNFIT", "It is on another curve than P-256 and P-384.")
    # §2.3.3 has the point as a DER octet string; some tokens leave out its two octets of header.
    encoded = point[2:] if len(point) == 3 + 2 * ((curve.key_size + 7) // 8) else point
    return _strong(lambda: ec.EllipticCurvePublicKey.from_encoded_point(curve, encoded))


def _strong(read: Callable[[], PublicKey]) -> PublicKey:
    try:
        return check_strength(read())
    except ValueError:
        raise LocalError("HSM.KEY_UNFIT", "Its public part cannot be read.") from None
    except RemoteError as error:
        raise LocalError(error.code, error.detail) from None


def _generate(session: pkcs11.Session, uri: KeyUri, curve: bytes) -> None:
    from pkcs11 import Attribute, KeyType, MechanismFlag

    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: curve}, local=True
    )
    parameters.generate_keypair(
        store=True,
        label=uri.object,
        # What joins the private part to the public one.
        id=uri.id or os.urandom(16),
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )

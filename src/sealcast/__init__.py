"""sealcast: live streaming in which every leg is encrypted and both of its ends are named.

The paved path; everything else is one import deeper. See `README.md` for the first picture.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sealcast.codes import CODES, Code
from sealcast.errors import Bug, LocalError, RemoteError, SealcastError
from sealcast.secret import Secret

if TYPE_CHECKING:
    from sealcast.dtls import DtlsEndpoint, DtlsIdentity, DtlsPolicy
    from sealcast.srtp import SrtpProfile, SrtpReceiver, SrtpSender

__version__ = "0.1.0"

__all__ = [
    "CODES",
    "Bug",
    "Code",
    "DtlsEndpoint",
    "DtlsIdentity",
    "DtlsPolicy",
    "LocalError",
    "RemoteError",
    "SealcastError",
    "Secret",
    "SrtpProfile",
    "SrtpReceiver",
    "SrtpSender",
    "__version__",
]

# Names with the native module behind them: imported when first asked for, so that a command that
# needs no packets does not pay for it.
_NATIVE = {
    "DtlsEndpoint": "sealcast.dtls",
    "DtlsIdentity": "sealcast.dtls",
    "DtlsPolicy": "sealcast.dtls",
    "SrtpProfile": "sealcast.srtp",
    "SrtpReceiver": "sealcast.srtp",
    "SrtpSender": "sealcast.srtp",
}


if not TYPE_CHECKING:  # a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        module = _NATIVE.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

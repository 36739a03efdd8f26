"""sealcast: live streaming in which every leg is encrypted and both of its ends are named.

The paved path; everything else is one import deeper. See `README.md` for the first picture.
"""

from sealcast.codes import CODES, Code
from sealcast.errors import Bug, LocalError, RemoteError, SealcastError
from sealcast.secret import Secret
from sealcast.srtp import SrtpProfile, SrtpReceiver, SrtpSender

__version__ = "0.1.0"

__all__ = [
    "CODES",
    "Bug",
    "Code",
    "LocalError",
    "RemoteError",
    "SealcastError",
    "Secret",
    "SrtpProfile",
    "SrtpReceiver",
    "SrtpSender",
    "__version__",
]

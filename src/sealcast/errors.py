"""Errors that say whose fault they are and whether it is over.

Does: carries a code of `sealcast.codes` and the detail of this one occurrence. `LocalError` is the
caller's or the operator's mistake, `RemoteError` the peer's, `Bug` ours. Whatever surfaces as an
exception is fatal to what was being done; what can be survived is dropped, named and counted
instead.

Does not: hold secrets, tracebacks or the bytes that caused it.
"""

from sealcast.codes import Code, lookup, problem


class SealcastError(Exception):
    """What every error of this package is.

    `code` is a row of the table, `detail` says why we think so, this time.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    @property
    def row(self) -> Code:
        """The table's row: stage, sentence, remedy, HTTP status."""
        return lookup(self.code)

    @property
    def http_status(self) -> int:
        """What a request that met this error is answered."""
        return self.row.http_status

    def problem(self, instance: str | None = None) -> dict[str, str | int]:
        """The problem document (RFC 9457) for an HTTP answer."""
        return problem(self.code, self.detail, instance)

    def __str__(self) -> str:
        row = self.row
        return " ".join(
            part for part in (f"{self.code}:", row.sentence, self.detail, row.remedy) if part
        )


class LocalError(SealcastError):
    """This side asked for something that cannot be: a wrong configuration, a wrong call."""


class RemoteError(SealcastError):
    """The peer sent something that cannot be used, or asked for something that it may not have."""


class Bug(SealcastError):  # noqa: N818 - it is the word for it
    """This node broke a promise of its own. Worth a report, never worth hiding."""

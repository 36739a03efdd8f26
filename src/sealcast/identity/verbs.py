"""What can be done here. A token is for one of these, a rule names some, a profile allows some."""

from enum import StrEnum


class Verb(StrEnum):
    """One purpose."""

    PUBLISH = "publish"
    """Send a stream."""
    WATCH = "watch"
    """Receive a stream."""
    ADMIN = "admin"
    """See every leg and stream, and administer the node."""
    METRICS = "metrics"
    """Read the counters, as a monitor does."""

    @property
    def words(self) -> str:
        """What somebody may or may not, in a sentence."""
        return {"admin": "administer", "metrics": "read the counters"}.get(self.value, self.value)

    @property
    def needs_stream(self) -> bool:
        """Whether it is done to one stream, or to the node."""
        return self in (Verb.PUBLISH, Verb.WATCH)

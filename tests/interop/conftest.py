"""Foreign stacks against a real node. What each test needs is skipped with a reason where it is
missing.
"""

import pytest

pytest.register_assert_rewrite("sealcast.testing.evidence")

from sealcast.testing.fixtures import (  # noqa: E402 - after the registration
    _chromiums,
    node,
    open_chromium,
    open_firefox,
    playwright_driver,
    start_node,
    two_hosts,
    two_ipv6_hosts,
)

__all__ = [
    "_chromiums",
    "node",
    "open_chromium",
    "open_firefox",
    "playwright_driver",
    "start_node",
    "two_hosts",
    "two_ipv6_hosts",
]

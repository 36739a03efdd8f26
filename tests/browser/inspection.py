"""A page as people with any eyes, hands and settings have it: axe-core's judgement of it, light and
dark, at a desk and on a phone; and its picture for those who want to look.

Does: runs every rule of axe-core (WCAG 2.2 A and AA, and its best practices), which must find
nothing; sees that nothing moves for people who asked for that (prefers-reduced-motion).
With SEALCAST_PICTURES, a folder, writes a picture for each way to see the page.

Does not: find everything. What only a person can do, Tab and all, is in `test_pages_for_people`.
"""

from __future__ import annotations

import functools
import json
import os
from itertools import product
from pathlib import Path
from typing import Any, Final

from sealcast.testing.browsers import ChromiumTab
from sealcast.testing.requirement import require

PHONE: Final = (360, 740)
DESK: Final = (1280, 800)
_SIZES: Final = {"desk": DESK, "phone": PHONE}
_SCHEMES: Final = ("light", "dark")
# Each colour and each width is judged once; all four would cost twice the time.
_JUDGED: Final = (("light", "desk"), ("dark", "phone"))

_AXE: Final = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
_JUDGE: Final = """
async () => (await axe.run(document, {
  resultTypes: ['violations'],
  preload: false,
  rules: { 'target-size': { enabled: true } },
})).violations.map(({ id, help, nodes }) => ({
  id, help, nodes: nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`),
}))
"""


def inspect_page(tab: ChromiumTab, name: str) -> None:
    """Fails with what axe-core finds wrong on the page as it is; leaves it light and at a desk."""
    require("axe")
    folder = os.environ.get("SEALCAST_PICTURES")
    found: dict[str, Any] = {}
    for scheme, size in product(_SCHEMES, _SIZES):
        judged = (scheme, size) in _JUDGED
        if not judged and folder is None:
            continue
        _show(tab, scheme, size)
        assert tab.page.evaluate("() => document.getAnimations().length") == 0, f"{name} moves"
        if judged and (violations := _violations(tab)):
            found[f"{scheme}, {size}"] = violations
        if folder is not None:
            tab.page.screenshot(path=f"{folder}/{name}-{size}-{scheme}.png", full_page=True)
    _show(tab, "light", "desk")
    assert not found, f"{name}: {json.dumps(found, indent=1, ensure_ascii=False)}"


def _show(tab: ChromiumTab, scheme: Any, size: str) -> None:
    # Nothing moves while it is judged.
    tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    width, height = _SIZES[size]
    tab.page.set_viewport_size({"width": width, "height": height})


def _violations(tab: ChromiumTab) -> Any:
    # Through the debugger, which the page's content security policy does not bind.
    if not tab.page.evaluate("() => 'axe' in globalThis"):
        tab.page.evaluate(_source())
    return tab.page.evaluate(_JUDGE)


@functools.cache
def _source() -> str:
    return f"() => {{ {_AXE.read_text()} }}"

"""The pages for people without a mouse and for people with a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from tests.browser.inspection import DESK, PHONE, inspect_page

from sealcast.testing.browsers import ChromiumTab, wait_for_value
from sealcast.testing.evidence import wait_for_frames, wait_until_sending
from sealcast.testing.fixtures import OpenChromium
from sealcast.testing.node_process import Node
from sealcast.testing.waiting import wait_for

TARGET_PX: Final = 24  # WCAG 2.2, 2.5.8
FINGER_PX: Final = 44  # WCAG 2.2, 2.5.5, on a phone
SMALLEST_TEXT_PX: Final = 11

# What can be operated now; of a group of radio buttons one is a stop, the arrow keys do the rest.
CONTROLS = """
[...document.querySelectorAll('a[href], button, input, select, textarea')].filter((control) =>
  !control.disabled && control.checkVisibility() && !(control.type === 'radio' && !control.checked))
"""
NAME = "(control) => control.id || control.name || control.textContent.trim()"
# What is drawn around the focus: by the control itself, or by the label that stands for it.
FOCUS = """
(() => {
  const control = document.activeElement;
  if (control === document.body) return null;
  const style = getComputedStyle(control.closest('.choice') ?? control);
  const box = control.getBoundingClientRect();
  return {
    name: (NAME)(control),
    ring: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
})()
""".replace("NAME", NAME)
# As after opening the page: a focus that was merely taken away leaves its place behind.
FROM_THE_TOP = """
(document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute('tabindex'))
"""
# Everything that reaches beyond the screen's width, text smaller than can be read, and targets.
LAYOUT = """
(() => {
  const seen = [...document.body.querySelectorAll('*')].filter((node) => node.checkVisibility());
  const texts = seen.filter((node) =>
    [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  return {
    width: document.documentElement.scrollWidth,
    smallestText: Math.min(...texts.map((node) => parseFloat(getComputedStyle(node).fontSize))),
    targets: CONTROLS.map((control) => {
      const box = (control.closest('.choice') ?? control).getBoundingClientRect();
      const field = control.matches('button, select, input:not([type=range])');
      return { name: (NAME)(control), width: box.width, height: box.height, field };
    }),
  };
})()
""".replace("CONTROLS", CONTROLS).replace("NAME", NAME)


def _assert_every_control_is_a_stop(tab: ChromiumTab) -> list[str]:
    """Tab goes through all controls in the order of the page, each time with a visible ring."""
    expected: list[str] = tab.evaluate(f"{CONTROLS}.map({NAME})")
    tab.evaluate(FROM_THE_TOP)
    stops: list[dict[str, Any]] = []
    for _ in range(len(expected) + 1):
        tab.page.keyboard.press("Tab")
        stop = tab.evaluate(FOCUS)
        if stop is None or (stops and stop["name"] == stops[0]["name"]):
            break
        stops.append(stop)
    assert [stop["name"] for stop in stops] == expected
    assert [stop["name"] for stop in stops if stop["ring"] < 2] == [], "no visible focus"
    assert [stop["name"] for stop in stops if not stop["inView"]] == [], "focus out of sight"
    return expected


def _assert_fits(tab: ChromiumTab, size: tuple[int, int]) -> None:
    tab.page.set_viewport_size({"width": size[0], "height": size[1]})
    told = tab.evaluate(LAYOUT)
    assert told["width"] <= size[0], "the page scrolls sideways"
    assert told["smallestText"] >= SMALLEST_TEXT_PX
    small = [
        target
        for target in told["targets"]
        if min(target["width"], target["height"])
        < (FINGER_PX if target["field"] and size == PHONE else TARGET_PX)
    ]
    assert small == []


def _focus_on(tab: ChromiumTab, name: str) -> None:
    """Presses Tab until the control is reached, as a person would."""
    for _ in range(30):
        tab.page.keyboard.press("Tab")
        if (tab.evaluate(FOCUS) or {}).get("name") == name:
            return
    raise AssertionError(f"Tab never reaches {name}")


def test_publishing_and_watching_need_no_mouse_and_fit_a_phone(
    node: Node, open_chromium: OpenChromium
) -> None:
    stream = "people/keyboard"
    publisher = open_chromium(node, node.page("publish", stream))
    keys = publisher.page.keyboard
    assert "start" in _assert_every_control_is_a_stop(publisher)
    _assert_fits(publisher, PHONE)
    _assert_fits(publisher, DESK)
    inspect_page(publisher, "publish")
    _focus_on(publisher, "size")
    keys.press("Home")
    _focus_on(publisher, "codec")
    keys.type("VP8")
    _focus_on(publisher, "start")
    keys.press("Enter")
    wait_until_sending(publisher)
    assert publisher.evaluate(FOCUS)["name"] == "stop", "the keyboard is where the next step is"
    wait_for_value(publisher, "!document.getElementById('share').hidden", what="the address")
    assert {"stop", "silence"} <= set(_assert_every_control_is_a_stop(publisher))
    _assert_fits(publisher, PHONE)
    inspect_page(publisher, "publishing")
    _focus_on(publisher, "silence")
    keys.press("Space")
    # What it does next stands on it; a state beside that would be read as its opposite.
    assert publisher.evaluate("document.getElementById('silence').textContent") == "Sound on"
    keys.press("Space")

    _watch_by_keyboard(node, open_chromium, stream)

    _focus_on(publisher, "stop")
    keys.press("Enter")
    wait_for_value(publisher, "document.body.dataset.state === 'stopped'", what="it has stopped")
    assert publisher.evaluate(FOCUS)["name"] == "start"
    assert publisher.errors == []


def _watch_by_keyboard(node: Node, open_chromium: OpenChromium, stream: str) -> None:
    viewer = open_chromium(node, node.url("watch", stream))
    keys = viewer.page.keyboard
    wait_for_value(viewer, "!document.getElementById('token-form').hidden", what="the field")
    assert "token" in _assert_every_control_is_a_stop(viewer)
    shown = viewer.evaluate("document.querySelector('.failure-remedy').innerText")
    assert shown == (
        "Next: Open the whole address that came with your token, or enter the token below."
    )
    inspect_page(viewer, "watch-token")
    _focus_on(viewer, "token")
    keys.insert_text(node.token("watch", stream))
    keys.press("Enter")
    wait_for_frames(viewer)
    assert viewer.evaluate(FOCUS)["name"] == "play", "the field has gone, the keyboard has not"
    assert {"play", "mute", "volume", "full"} <= set(_assert_every_control_is_a_stop(viewer))
    _assert_fits(viewer, PHONE)
    _assert_fits(viewer, DESK)
    inspect_page(viewer, "watching")
    for control, key, change in (
        ("play", "Space", "document.getElementById('video').paused"),
        ("play", "Enter", "!document.getElementById('video').paused"),
        ("mute", "Space", "document.getElementById('video').muted"),
        ("mute", "Enter", "!document.getElementById('video').muted"),
        ("volume", "ArrowLeft", "document.getElementById('video').volume < 1"),
        ("full", "Enter", "document.fullscreenElement?.id === 'picture'"),
    ):
        _focus_on(viewer, control)
        keys.press(key)
        wait_for_value(viewer, change, what=f"{key} on {control}: {change}")
    assert viewer.errors == []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_failure_is_a_stage_a_sentence_and_a_next_step_at_every_width(
    node: Node, open_chromium: OpenChromium, size: tuple[int, int]
) -> None:
    tab = open_chromium(node, f"{node.url('watch', 'people/failure')}#token=nonsense")
    wait_for_value(tab, "!document.getElementById('failure').hidden", what="the failure")
    _assert_fits(tab, size)
    for part, words in (
        ("stage", "Failed at: Signalling"),
        ("title", "The token cannot be read."),
        ("remedy", "Next: Copy the whole token"),
        ("code", "TOKEN.MALFORMED"),
    ):
        shown = tab.page.locator(f".failure-{part}")
        assert shown.inner_text().startswith(words)
        box = shown.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
    inspect_page(tab, "watch-failed")
    tab.page.set_viewport_size({"width": size[0], "height": size[1]})
    # Signalling is marked in the list of stages too, and by a word for those who do not see it.
    assert "failed" in tab.page.locator("[data-stage=signalling]").inner_text()
    _focus_on(tab, "Try again")
    tab.page.keyboard.press("Enter")
    focus = wait_for(lambda: tab.evaluate(FOCUS), what="the keyboard is still in the page")
    assert focus["name"] == "picture"
    assert tab.errors == []


def test_the_list_of_streams_needs_no_mouse_and_fits_a_phone(
    node: Node, open_chromium: OpenChromium
) -> None:
    tab = open_chromium(node, f"{node.origin}/")
    _assert_every_control_is_a_stop(tab)
    _assert_fits(tab, PHONE)
    inspect_page(tab, "streams")
    _focus_on(tab, "name")
    tab.page.keyboard.type("people/by name")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/watch/people/by%20name")
    assert tab.errors == []


def test_a_list_that_changes_keeps_the_keyboard_where_it_is(
    start_node: Callable[..., Node], open_chromium: OpenChromium
) -> None:
    node = start_node('[streams."people/a"]\npublic = true\n[streams."people/b"]\npublic = true\n')
    first = open_chromium(node, node.page("publish", "people/b"))
    first.click("#start")
    wait_until_sending(first)
    tab = open_chromium(node, f"{node.origin}/")
    text = "document.getElementById('streams').innerText"
    wait_for_value(tab, f"{text}.includes('0 watching')", what="the stream")
    tab.page.get_by_role("link", name="people/b").focus()
    focus = "document.activeElement.textContent"
    # Somebody watches, then another stream comes, before it in the list.
    viewer = open_chromium(node, node.url("watch", "people/b"))
    wait_for_value(tab, f"{text}.includes('1 watching')", what="the viewer")
    assert tab.evaluate(focus) == "people/b"
    viewer.close()
    second = open_chromium(node, node.page("publish", "people/a"))
    second.click("#start")
    wait_for_value(tab, f"{text}.includes('people/a')", what="the other stream")
    assert tab.evaluate(focus) == "people/b"
    assert tab.evaluate("document.getElementById('count').textContent") == "2 streams are live."
    inspect_page(tab, "two-streams")


def test_what_the_policy_of_a_page_refuses_is_noticed(
    node: Node, open_chromium: OpenChromium
) -> None:
    """The empty lists of errors in these tests mean something."""
    tab = open_chromium(node, f"{node.origin}/")
    tab.evaluate("document.body.setAttribute('style', 'color: red')")
    # Asking the page for anything brings what it said meanwhile.
    wait_for(lambda: tab.evaluate("1") and tab.errors, what="the violation is told")
    assert "Content Security Policy" in tab.errors[0]


def test_what_is_hard_to_read_or_has_no_name_is_noticed(
    node: Node, open_chromium: OpenChromium
) -> None:
    """That the inspections of these tests find nothing means something."""
    tab = open_chromium(node, f"{node.origin}/")
    tab.evaluate("document.querySelector('label').remove()")
    tab.evaluate("document.getElementById('name').removeAttribute('placeholder')")
    tab.evaluate("document.querySelector('.hint').className = 'brand'")
    tab.evaluate("document.querySelector('.open-form').style.color = '#888'")
    with pytest.raises(AssertionError) as found:
        inspect_page(tab, "broken")
    for rule in ('"label"', '"color-contrast"'):
        assert rule in str(found.value)

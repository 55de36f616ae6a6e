"""A real browser, driven by the WebDriver protocol: for what only browsers decide, such as which cookies go along."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.peers import found
from tests.peers.processes import bound_to_us, eventually

# The key under which WebDriver names an element (W3C, section 11).
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_OPTIONS = {
    "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=900,1000"],
    "binary": "/usr/bin/chromium",
}
_NO_SCRIPTS = {"profile.managed_default_content_settings.javascript": 2}


class Chromium:
    """One window. What is looked for by a CSS selector is waited for."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self._call("GET", "/url"))

    @property
    def html(self) -> str:
        return str(self._call("GET", "/source"))

    def type(self, selector: str, text: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, selector: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/click", {})

    def shows(self, words: str) -> None:
        """Wait until the page says this."""
        eventually(lambda: words in self.html, f"the page says {words!r}", patience=20)

    def has(self, width: int, height: int, *, dark: bool = False) -> None:
        """A screen of this size in CSS pixels, on a device that is set to light or dark."""
        narrow = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", **narrow)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", features=[scheme])

    @property
    def breadth(self) -> int:
        """How wide the page is, in CSS pixels: wider than its screen where it has to be pushed from side to side."""
        return int(self._devtools("Page.getLayoutMetrics")["cssContentSize"]["width"])

    def photograph(self, to: Path) -> None:
        """The whole page, as a PNG."""
        taken = self._devtools("Page.captureScreenshot", captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(taken["data"]))

    @property
    def cookies(self) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = self._call("GET", "/cookie")
        return kept

    def forget(self, cookie: str) -> None:
        self._call("DELETE", f"/cookie/{cookie}")

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def refused(self) -> list[str]:
        """What the browser itself refused to do, such as what a page's content security policy forbids."""
        said = self._call("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in said if re.search("Content Security Policy|Refused", each["message"])]

    def _find(self, selector: str) -> str:
        by = {"using": "css selector", "value": selector}

        def look() -> str | None:
            found_ones: list[dict[str, str]] = self._call("POST", "/elements", by)
            return found_ones[0][_ELEMENT] if found_ones else None

        return eventually(look, f"{selector} on {self.url}", patience=20)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = httpx2.request(method, self._session + path, json=body, trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]


@contextmanager
def chromium(home: Path, *, scripts: bool = True) -> Iterator[Chromium]:
    """A window with nothing remembered, that believes certificates which nobody vouches for.

    Without `scripts` its owner has turned JavaScript off.
    """
    found.require("chromium")
    log = home / "chromedriver.log"
    with (
        log.open("wb") as said,
        subprocess.Popen([*bound_to_us(), "chromedriver", "--port=0"], stdout=said, stderr=said) as process,
    ):
        try:
            started = eventually(
                lambda: re.search(rb"started successfully on port (\d+)", log.read_bytes()), "chromedriver listens"
            )
            at = f"http://127.0.0.1:{started.group(1).decode()}"
            options = _OPTIONS if scripts else _OPTIONS | {"prefs": _NO_SCRIPTS}
            wanted = {"browserName": "chrome", "acceptInsecureCerts": True, "goog:chromeOptions": options}
            wanted["goog:loggingPrefs"] = {"browser": "ALL"}
            asked = {"capabilities": {"alwaysMatch": wanted}}
            answer = httpx2.post(f"{at}/session", json=asked, trust_env=False, timeout=60)
            assert answer.status_code == 200, answer.text
            session = f"{at}/session/{json.loads(answer.text)['value']['sessionId']}"
            try:
                yield Chromium(session)
            finally:
                httpx2.delete(session, trust_env=False, timeout=60)
        finally:
            process.kill()

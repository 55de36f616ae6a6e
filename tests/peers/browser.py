"""A browser without a screen: opens a page, fills its one form, presses a button."""

from __future__ import annotations

import ssl
from html.parser import HTMLParser
from types import TracebackType
from urllib.parse import urljoin

import httpx2
from msgspec import Struct, field


class Form(Struct):
    """What a page asks: where the form goes, what stands in its fields, and its buttons in order."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)


class Page(Struct, frozen=True):
    """What came back. `form` is None where the page asks nothing."""

    url: str
    status: int
    html: str
    headers: dict[str, str]
    form: Form | None


class _Reader(HTMLParser):
    """Our pages and those of the providers have one form each; buttons may stand outside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given.get("action", ""))
        if self.form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "button" or (tag == "input" and given.get("type") == "submit"):
            self.form.buttons.append({name: value} if name else {})
        elif tag == "input" and name:
            self.form.fields[name] = value


class Browser:
    """Keeps cookies and follows redirects, as a person's browser does."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._client = httpx2.Client(verify=tls, follow_redirects=True, trust_env=False, timeout=30)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self._client.cookies)

    def open(self, url: str) -> Page:
        return self._read(self._client.get(url))

    def submit(self, page: Page, filled: dict[str, str], button: int = 0, **headers: str) -> Page:
        """Press a button of the page's form, with some fields filled."""
        assert page.form is not None, f"no form on {page.url}: {page.html}"
        pressed = page.form.buttons[button] if page.form.buttons else {}
        known = {name: value for name, value in filled.items() if name in page.form.fields}
        return self.post(urljoin(page.url, page.form.action), page.form.fields | known | pressed, **headers)

    def post(self, url: str, fields: dict[str, str], **headers: str) -> Page:
        return self._read(self._client.post(url, data=fields, headers=headers))

    def _read(self, answer: httpx2.Response) -> Page:
        reader = _Reader()
        reader.feed(answer.text)
        return Page(str(answer.url), answer.status_code, answer.text, dict(answer.headers), reader.form)

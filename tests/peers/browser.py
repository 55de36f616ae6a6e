"""A browser without a screen: opens a page, fills one of its forms, presses a button.

It keeps back cookies of `SameSite=Strict` as browsers do: they go along only where the person, or a page of that very
site, asked for it, and no redirect of another site came between. A site is an origin here: stricter than theirs."""

from __future__ import annotations

import ssl
from html.parser import HTMLParser
from http.cookiejar import Cookie
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import httpx2
from msgspec import Struct, field


class Form(Struct):
    """What a page asks: where the form goes, what stands in its fields, and its buttons in order."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[dict[str, str]] = field(default_factory=list)


class Page(Struct, frozen=True):
    """What came back. `form` is the last of its forms, None where the page asks nothing."""

    url: str
    status: int
    html: str
    headers: dict[str, str]
    form: Form | None
    forms: tuple[Form, ...] = ()


class _Reader(HTMLParser):
    """Buttons may stand outside of the form they belong to."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self.forms: list[Form] = []
        self.leads_to: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = Form(given.get("action", ""))
            self.forms.append(self.form)
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.leads_to = given.get("content", "").partition("url=")[2]
        if self.form is None:
            return
        name, value = given.get("name", ""), given.get("value", "")
        if tag == "button" or (tag == "input" and given.get("type") == "submit"):
            self.form.buttons.append({name: value} if name else {})
        elif tag == "input" and name:
            self.form.fields[name] = value


class Browser:
    """Keeps cookies and follows redirects, as a person's browser does. No page may lead on for ever."""

    MAX_STEPS = 20

    def __init__(self, tls: ssl.SSLContext, until: str | None = None) -> None:
        """Addresses that begin with `until` are not opened: the browser stops there, with an empty page."""
        self._until = until
        self._client = httpx2.Client(verify=tls, follow_redirects=False, trust_env=False, timeout=30)
        self.visited: list[str] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self._client.cookies)

    def open(self, url: str) -> Page:
        """As typed into the address line."""
        return self._go("GET", url, None, {}, since=None)

    def follow(self, page: Page, url: str) -> Page:
        """As by a link on a page."""
        return self._go("GET", urljoin(page.url, url), None, {}, since=page.url)

    def submit(
        self, page: Page, filled: dict[str, str], button: int = 0, form: Form | None = None, **headers: str
    ) -> Page:
        """Press a button of a form of the page, the last where none is said, with some fields filled."""
        form = form or page.form
        assert form is not None, f"no form on {page.url}: {page.html}"
        pressed = form.buttons[button] if form.buttons else {}
        known = {name: value for name, value in filled.items() if name in form.fields}
        url = urljoin(page.url, form.action)
        return self._go("POST", url, form.fields | known | pressed, headers, since=page.url)

    def post(self, url: str, fields: dict[str, str], **headers: str) -> Page:
        return self._go("POST", url, fields, headers, since=None)

    def _go(
        self, method: str, url: str, fields: dict[str, str] | None, headers: dict[str, str], since: str | None
    ) -> Page:
        """Until nothing leads on. `since` is the page that asked for it; a redirect of another site taints the rest."""
        is_own = since is None or _site(since) == _site(url)
        for _ in range(self.MAX_STEPS):
            self.visited.append(url)
            answer = self._ask(method, url, fields, headers, is_own)
            reader = _Reader()
            reader.feed(answer.text)
            if answer.is_redirect:
                method, fields = ("GET", None) if answer.status_code != 307 else (method, fields)
                onward = urljoin(url, answer.headers["location"])
                is_own = is_own and _site(url) == _site(onward)
            elif reader.leads_to is not None:
                onward, method, fields = urljoin(url, reader.leads_to), "GET", None
                is_own = _site(url) == _site(onward)
            else:
                return Page(
                    url, answer.status_code, answer.text, dict(answer.headers), reader.form, tuple(reader.forms)
                )
            url, headers = onward, {}
            if self._until is not None and url.startswith(self._until):
                return Page(url, 0, "", {}, None)
        raise AssertionError(f"{url} leads on and on")

    def _ask(
        self, method: str, url: str, fields: dict[str, str] | None, headers: dict[str, str], is_own: bool
    ) -> httpx2.Response:
        kept = [] if is_own else [cookie for cookie in self._client.cookies.jar if _is_strict(cookie)]
        for cookie in kept:
            self._client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
        request = self._client.build_request(method, url, data=fields, headers=headers)
        for cookie in kept:
            self._client.cookies.jar.set_cookie(cookie)
        return self._client.send(request)


def _site(url: str) -> tuple[str, str]:
    return urlsplit(url).scheme, urlsplit(url).netloc


def _is_strict(cookie: Cookie) -> bool:
    return str(cookie.get_nonstandard_attr("samesite", cookie.get_nonstandard_attr("SameSite", ""))).lower() == "strict"

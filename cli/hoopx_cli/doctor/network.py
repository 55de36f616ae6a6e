"""The way to the broker, step by step: name, connection, TLS, certificate, what answers there, and its clock."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import msgspec

from hoopx_broker import __version__
from hoopx_broker.api.messages import About
from hoopx_broker.terms.errors import ExitCode, HoopxError
from hoopx_cli import trust
from hoopx_cli.doctor import clock as clocks
from hoopx_cli.doctor.certificate import judged, refused
from hoopx_cli.doctor.findings import Checked, broken, fine, odd, of_error, unlooked
from hoopx_cli.doctor.patience import within
from hoopx_cli.settings import Settings

STEP_SECONDS = 8.0  # for each step; a person waits for the report
GRACE_SECONDS = 2.0  # so that who says nothing is told from who says too little at a time
MAX_ABOUT = 1_048_576
STEPS = ("address", "connection", "tls", "certificate", "broker", "clock")
_UNREACHABLE = ExitCode.UNREACHABLE


class Approach:
    """One way to one broker. Nothing of ours is sent before its certificate is trusted, and no token at all."""

    def __init__(
        self,
        settings: Settings,
        proxy: str = "",
        seconds: float = STEP_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`proxy` is the name of a variable that would lead other programs through a proxy."""
        parts = urlsplit(settings.broker)
        self._settings = settings
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._proxy = proxy
        self._seconds = seconds
        self._clock = clock
        self._addresses: list[str] = []
        self._shown = b""
        self._date = clocks.Heard()
        self._trusted: Checked | None = None
        self.context: ssl.SSLContext | None = None  # that trusts this broker, where it is trusted
        self.is_open = False

    def walk(self) -> Iterator[Checked]:
        """One finding for each of `STEPS`; what comes after one that failed is not looked at."""
        steps = (self._address, self._connection, self._tls, self._certificate, self._broker, self._time)
        failed = ""
        for name, step in zip(STEPS, steps, strict=True):
            if failed:
                yield unlooked(name, f"`{failed}` comes first")
                continue
            finding = self._taken(name, step)
            failed = name if finding.code and name != "clock" else ""
            yield finding
        self.is_open = not failed

    def _taken(self, name: str, step: Callable[[], Checked]) -> Checked:
        try:
            return within(self._seconds + GRACE_SECONDS, self._settings.broker, step)
        except OSError as error:
            return of_error(name, trust.unreachable(self._settings.broker, error))
        except HoopxError as error:
            return of_error(name, error)

    def _address(self) -> Checked:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = str(getattr(error, "strerror", "") or "it is no name").lower()
            mend = "look for a mistake in --broker or HOOPX_BROKER; else the resolver, VPN or network of this machine"
            return broken("address", f"`{self._host}` has no address: {reason}", mend, _UNREACHABLE)
        self._addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        return fine("address", f"{self._host} is {', '.join(self._addresses)}", addresses=self._addresses)

    def _connection(self) -> Checked:
        began = time.monotonic()
        with self._connected() as made:
            peer = made.getpeername()[0]
        took = round((time.monotonic() - began) * 1000)
        return fine("connection", f"{peer} takes connections at port {self._port} ({took} ms)", milliseconds=took)

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self._host, self._port), timeout=self._seconds)
        except OSError as error:
            told = trust.unreachable(self._settings.broker, error)
            if self._proxy:
                told.hint += f"; {self._proxy} is set, and hoopx goes to its broker directly, through no proxy"
            raise told from None

    def _tls(self) -> Checked:
        asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        asking.check_hostname = False
        asking.verify_mode = ssl.CERT_NONE  # whom to believe is the next step's matter, and nothing is sent here
        with self._connected() as plain, asking.wrap_socket(plain, server_hostname=self._host) as tls:
            self._shown = tls.getpeercert(binary_form=True) or b""
            version = tls.version() or "TLS"
        if not self._shown:
            mend = "check the address: is it a hoopx broker?"
            return broken("tls", "no certificate is shown", mend, _UNREACHABLE)
        return fine("tls", f"{version.replace('TLSv', 'TLS ')} is spoken", version=version)

    def _certificate(self) -> Checked:
        try:
            self._trusted = self._asked()
        except ssl.SSLCertVerificationError as error:
            return refused(self._shown, self._host, error)
        return judged(self._shown, self._settings, self._clock())

    def _asked(self) -> Checked:
        """The verified handshake, and what is said behind it: the answer is looked at in the next step."""
        self.context = trust.context_for(self._settings, self._shown)
        connection = HTTPSConnection(self._host, self._port, context=self.context, timeout=self._seconds)
        try:
            connection.connect()
            return self._about(connection)
        finally:
            connection.close()

    def _about(self, connection: HTTPSConnection) -> Checked:
        began = self._clock()
        try:
            connection.request("GET", "/v1/about", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            self._date = clocks.Heard(answer.getheader("Date", ""), began, self._clock())
            about = msgspec.json.decode(answer.read(MAX_ABOUT), type=About)
        except (HTTPException, msgspec.DecodeError):
            message = f"what answers at {self._settings.broker} is not a hoopx broker"
            return broken("broker", message, "check the address in --broker or HOOPX_BROKER", _UNREACHABLE)
        except OSError as error:
            return of_error("broker", trust.unreachable(self._settings.broker, error))
        return _skew(about.version)

    def _broker(self) -> Checked:
        assert self._trusted is not None  # the step before this one succeeded
        return self._trusted

    def _time(self) -> Checked:
        return clocks.against_broker(self._date)


def _skew(theirs: str) -> Checked:
    """Whether broker and CLI are of one version; later ones take what earlier ones say."""
    facts = {"broker": theirs, "cli": __version__}
    if theirs.split(".")[:2] == __version__.split(".")[:2]:
        return fine("broker", f"hoopx {theirs} answers", **facts)
    older = "the broker" if _order(theirs) < _order(__version__) else "this hoopx"
    mend = f"bring {older} up to date; until then, what only the newer one knows is refused"
    return odd("broker", f"the broker is hoopx {theirs}, this is {__version__}", mend, **facts)


def _order(version: str) -> list[int]:
    return [int(part) if part.isascii() and part.isdigit() else 0 for part in version.split(".")[:3]]

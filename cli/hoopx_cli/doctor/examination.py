"""All of it, in the order in which a command meets it; one part that fails does not keep the others from being seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hoopx_broker.terms.errors import BadInput, ExitCode, HoopxError
from hoopx_broker.terms.secret import Secret
from hoopx_cli import settings as settings_room
from hoopx_cli import trace, trust
from hoopx_cli.doctor import login, places, shell, surroundings
from hoopx_cli.doctor.findings import Checked, broken, fine, odd, of_error, unlooked
from hoopx_cli.doctor.network import STEPS, Approach
from hoopx_cli.doctor.patience import TooSlow, within
from hoopx_cli.kit import Kit
from hoopx_cli.roster import Accounts
from hoopx_cli.settings import DEFAULT_BROKER, Remembered, Settings

HERE_SECONDS = 8.0  # for each look at this machine; files answer at once
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def examine(kit: Kit, tell: Callable[[str], None]) -> Iterator[Checked]:
    """`tell` hears what is looked at next, for whoever waits."""
    home = settings_room.home(kit.environ)
    yield from _seen_here(kit, "python", lambda: [surroundings.python()])
    yield from _seen_here(kit, "hoopx", lambda: surroundings.installed(kit.environ))
    yield from _seen_here(kit, "home", lambda: [places.home(home)])
    settings, found = _settings_in_time(kit)
    yield found
    if settings is not None:
        known = settings
        yield from _seen_here(kit, "environment", lambda: _environment(kit, known))
    tell("asking the broker")
    is_open = False
    if settings is None:
        yield from (unlooked(name, "`settings` come first") for name in STEPS)
    else:
        proxy = next((name for name in _PROXIES if kit.environ.get(name)), "")
        approach = Approach(settings, proxy)
        yield from _seen(kit, "broker", approach.walk)
        is_open = approach.is_open
        if approach.context is not None:
            vars(kit)["tls"] = approach.context  # else it would ask once more, and keep the certificate
    if found.code:
        yield from (unlooked(name, "`settings` come first") for name in ("login", "token", "keyring"))
    else:
        tell("asking as whom the broker knows you")
        yield from _seen(kit, "login", lambda: login.login(kit, is_open=is_open))
        tell("looking at the keyring")
        yield from _seen(kit, "keyring", lambda: [login.keyring(kit)])
    yield from _seen_here(kit, "port", lambda: places.ports(home, settings.broker if settings is not None else ""))
    yield from _seen_here(kit, "socket", lambda: [places.socket_file(home)])
    yield from _seen_here(kit, "completion", lambda: [shell.completion(kit.environ)])


def _seen_here(kit: Kit, check: str, look: Callable[[], Iterable[Checked]]) -> Iterator[Checked]:
    """Of this machine: a disk that hangs, or a pipe in the place of a file, is not waited for."""
    return _seen(kit, check, lambda: within(HERE_SECONDS, f"what `{check}` looks at", lambda: list(look())))


def _seen(kit: Kit, check: str, look: Callable[[], Iterable[Checked]]) -> Iterator[Checked]:
    try:
        yield from look()
    except HoopxError as error:
        yield of_error(check, error)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        yield broken(check, f"it cannot be looked at: {reason}", "see that hoopx may read it", ExitCode.USAGE)
    except Exception as error:
        # A report with a gap helps more than none.
        mend = f"this is a bug in hoopx; its trace is in {trace.keep(kit.environ)}"
        yield broken(check, f"unexpected: {type(error).__name__}", mend, ExitCode.UNEXPECTED)


def _settings_in_time(kit: Kit) -> tuple[Settings | None, Checked]:
    try:
        return within(HERE_SECONDS, "a file that says which broker is meant", lambda: _settings(kit))
    except TooSlow as error:
        return None, of_error("settings", error)


def _settings(kit: Kit) -> tuple[Settings | None, Checked]:
    """What commands work with; where the remembered part is broken, what the rest says, so that more can be seen."""
    try:
        found = kit.settings
    except BadInput as error:
        return _without_memory(kit), of_error("settings", error)
    try:
        if found.ca is not None and found.ca.lower().startswith("sha256:"):
            trust.fingerprint(found.ca)
        else:
            trust.context(found)
    except BadInput as error:
        return found, of_error("settings", error)
    source = _source(kit, found)
    if not source:
        told = f"no broker is named, so commands try {found.broker}"
        return found, odd("settings", told, "hoopx login --broker https://HOST:PORT, or set HOOPX_BROKER")
    return found, fine("settings", f"the broker is {found.broker}, by {source}", broker=found.broker)


def _without_memory(kit: Kit) -> Settings | None:
    home, token = settings_room.home(kit.environ), kit.environ.get("HOOPX_TOKEN")
    named = kit.flags.broker or kit.environ.get("HOOPX_BROKER") or DEFAULT_BROKER
    try:
        broker = settings_room.origin(named)
    except BadInput:
        return None
    return Settings(broker, kit.flags.ca or kit.environ.get("HOOPX_CA"), home, Secret(token) if token else None)


def _source(kit: Kit, settings: Settings) -> str:
    if kit.flags.broker:
        return "--broker"
    if kit.environ.get("HOOPX_BROKER"):
        return "HOOPX_BROKER"
    return "the last login" if settings_room.recall(settings.home) is not None else ""


def _environment(kit: Kit, settings: Settings) -> Iterator[Checked]:
    remembered: Remembered | None = None
    known = Accounts()
    try:
        remembered = settings_room.recall(settings.home)
        known = kit.logins.listed().get(settings.broker, known) if "settings" in vars(kit) else known
    except BadInput:
        pass  # said where the file itself is looked at
    return surroundings.environment(kit.environ, settings, remembered, known)

"""A client's start-up packet: what it may ask for, and what of it reaches the server."""

from __future__ import annotations

from msgspec import Struct

from hoopx_broker.terms.encodings import is_safe_encoding
from hoopx_broker.wire.cursor import BrokenPeer
from hoopx_broker.wire.effects import Note
from hoopx_broker.wire.postgres import messages
from hoopx_broker.wire.postgres.messages import Startup

# Parameters that change nothing but how values look. All others are judged as the SET they amount to.
_HARMLESS = frozenset({"application_name", "client_encoding"})
# Names that mean something else than a setting in a start-up packet. Said in `options` they would pass as settings.
_RESERVED = frozenset({"user", "database", "options", "replication"})
# What hoopx itself wants to know: it never reaches the server.
OURS = "hoopx."


class Hello(Struct, frozen=True):
    """`parameters` go to the server as they are; `settings` only after they were judged as statements.

    `minor` is the minor version that the client asked for.
    """

    parameters: dict[str, str]
    settings: dict[str, str]
    unknown_options: list[str]
    minor: int

    @property
    def speaks(self) -> int:
        """The minor version that is spoken: 2, or 0 with whoever asked for less. 1 was never released."""
        return 2 if self.minor >= 2 else 0


class Unwelcome(Exception):
    """The start-up is refused with this SQLSTATE and message; `note` goes into the recording first."""

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "", note: Note | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail
        self.note = note


def welcome(startup: Startup, database: str, also_known_as: str) -> Hello:
    """Raises `Unwelcome`. The user name is not used: who connects was settled when the session was opened."""
    asked = startup.parameters.get("database", database)
    if asked not in (database, also_known_as, ""):
        raise Unwelcome("3D000", f"this session reaches the database `{database}` only", f"ask for `dbname={database}`")
    said = read(startup)
    if any(name.lower().startswith(OURS) for name in said.settings):
        raise Unwelcome("42501", "`hoopx.…` is said where a session begins, and this one has begun")
    return said


def read(startup: Startup) -> Hello:
    """What a client asks for, whoever it is and wherever it goes. Raises `Unwelcome`."""
    parameters = dict(startup.parameters)
    for name in ("user", "database"):
        parameters.pop(name, None)
    if parameters.pop("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise Unwelcome("42501", "replication does not pass through hoopx")
    unknown = [name for name in parameters if name.startswith("_pq_.")]
    settings = {name: value for name, value in parameters.items() if name not in _HARMLESS and name not in unknown}
    settings |= _options(settings.pop("options", ""))
    passed = {name: value for name, value in parameters.items() if name in _HARMLESS}
    if not all(is_safe_encoding(value) for value in _encodings(passed | settings)):
        raise Unwelcome("0A000", "this client encoding can hide ASCII characters", "use UTF8")
    return Hello(passed, settings, unknown, startup.minor)


def negotiation(said: Hello) -> bytes:
    """NegotiateProtocolVersion, or nothing where the client gets all that it asked for."""
    if said.minor == said.speaks and not said.unknown_options:
        return b""
    return messages.negotiate(said.speaks, said.unknown_options)


def _encodings(settings: dict[str, str]) -> list[str]:
    """The server does not tell upper case from lower in the names of settings."""
    return [value for name, value in settings.items() if name.lower() == "client_encoding"]


def _options(text: str) -> dict[str, str]:
    """`-c name=value`, `-cname=value` and `--name=value`, as the server splits them (pg_split_opts)."""
    found: dict[str, str] = {}
    words = iter(_words(text))
    for word in words:
        if not word.startswith(("-c", "--")):
            raise Unwelcome("42501", "only `-c name=value` may stand in the start-up options")
        setting = word[2:] or next(words, "")
        name, sign, value = setting.partition("=")
        if not name or not sign:
            raise Unwelcome("42601", "a start-up option lacks its value")
        name = name.replace("-", "_")
        if name.lower() in _RESERVED or name.startswith("_pq_."):
            raise Unwelcome("42501", "the start-up options name something that is not a setting")
        found[name] = value
    return found


def _words(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] | None = None
    chars = iter(text)
    for char in chars:
        if char.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        word.append(next(chars, "") if char == "\\" else char)
    return [*words, "".join(word)] if word is not None else words


def as_statements(settings: dict[str, str]) -> bytes:
    """The SET statements that these start-up parameters amount to."""
    return "; ".join(f"SET {_identifier(name)} TO {_literal(value)}" for name, value in settings.items()).encode()


def _identifier(name: str) -> str:
    if not all(c.isascii() and (c.isalnum() or c in "._") for c in name):
        raise BrokenPeer("a start-up parameter has a name that no setting has")
    return ".".join(f'"{part.lower()}"' for part in name.split("."))


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"

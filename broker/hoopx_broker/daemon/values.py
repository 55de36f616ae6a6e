"""Read single values of a configuration: addresses, durations, URLs, names and columns."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from hoopx_broker.daemon.problems import Wrong
from hoopx_broker.masking.labels import CLASS_NAME
from hoopx_broker.terms.targets import ColumnName

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[1-9][0-9]{0,8}[smhd])+")
_DURATION_PART = re.compile(r"([0-9]+)([smhd])")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
# SPIFFE-ID section 2.1: no port, no user, no path, at most 255 bytes.
_TRUST_DOMAIN = re.compile(r"spiffe://[a-z0-9._-]{1,255}")
# One part of a column's name: quoted with doubled quotes inside, or up to the next dot.
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
_PLAIN_PART = re.compile(r"[^\W\dA-Z][\w$]*")

# The server's own limit (NAMEDATALEN - 1): a longer name is never in its catalog, so nothing would be masked.
MAX_IDENTIFIER = 63
MAX_GROUP = 256  # what the gate takes of a token
# Longer than this is no longer a short-lived credential.
MAX_TTL = 7 * 86400


def duration(text: str) -> int:
    """Seconds, from `90s`, `15m`, `1h` or `1h30m`."""
    if not _DURATION.fullmatch(text):
        raise Wrong("is not a duration", "write for example `90s`, `15m` or `1h`")
    return sum(int(count) * _UNITS[unit] for count, unit in _DURATION_PART.findall(text))


def ttl(text: str) -> int:
    """The life of a lease in seconds."""
    seconds = duration(text)
    if seconds > MAX_TTL:
        raise Wrong("is longer than seven days", "give credentials a short life, for example `1h`")
    return seconds


def session(text: str) -> int:
    """How long a session may last, in seconds."""
    seconds = duration(text)
    if seconds > MAX_TTL:
        raise Wrong("is longer than seven days", "end sessions in between, and write for example `8h`")
    return seconds


def idle(text: str) -> int:
    """How long a client may say nothing, in seconds."""
    seconds = duration(text)
    if seconds > MAX_TTL:
        raise Wrong(
            "is longer than seven days, and no session lasts longer", "leave `idle` out, or write for example `30m`"
        )
    return seconds


def host_port(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPV6]:PORT`; port 0 lets the kernel choose."""
    host, port = _host_and_port(text)
    if port is None:
        raise Wrong("has no port", "write HOST:PORT, for example `127.0.0.1:8443` or `[::1]:8443`")
    return host, port


def postgres_address(text: str) -> tuple[str, int]:
    """`HOST` or `HOST:PORT`, 5432 where no port is said."""
    host, port = _host_and_port(text)
    if port == 0:
        raise Wrong("has the port 0", "give the port that the server listens on")
    return host, 5432 if port is None else port


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ip(host) or (rest and not rest.startswith(":")):
            raise Wrong("is not [IPV6]:PORT", "write for example `[::1]:8443`")
        return host, _port(rest[1:]) if rest else None
    if _is_ip(text) and ":" in text:
        raise Wrong("is an IPv6 address without brackets", f"write `[{text}]:PORT`")
    host, colon, rest = text.partition(":")
    if not host:
        raise Wrong("has no host", "write HOST:PORT; `0.0.0.0` is every address of this machine")
    if not _is_ip(host) and not _HOST_NAME.fullmatch(host):
        raise Wrong("is not HOST:PORT", "write for example `127.0.0.1:8443` or `[::1]:8443`")
    return host, _port(rest) if colon else None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise Wrong("has a port that is not a number from 0 to 65535", "write for example `127.0.0.1:8443`")
    return int(text)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """True for this machine's own address, as a number or as `localhost`."""
    return ipaddress.ip_address(host).is_loopback if _is_ip(host) else host.lower().rstrip(".") == "localhost"


def is_unspecified(host: str) -> bool:
    """True for `0.0.0.0` and `::`: one can listen there, but nobody can go there."""
    return _is_ip(host) and ipaddress.ip_address(host).is_unspecified


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def issuer_url(text: str) -> str:
    """An identity provider, exactly as its tokens name it; plain http only on this machine."""
    url = _url(text, ("https", "http"))
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise Wrong("is not https", "use https; plain http is for issuers on this machine")
    return text


def witness_url(text: str) -> str:
    """The prefix below which a witness is asked; plain http only on this machine."""
    url = _url(text, ("https", "http"))
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise Wrong("is not https", "use https; plain http is for a witness on this machine")
    return text.rstrip("/")


def workload_issuer(text: str) -> str:
    """As `issuer_url`, or a SPIFFE trust domain: `spiffe://example.org`."""
    if not text.startswith("spiffe:"):
        return issuer_url(text)
    if not _TRUST_DOMAIN.fullmatch(text):
        raise Wrong("is not a SPIFFE trust domain", "write for example `spiffe://example.org`, in lower case")
    return text


def public_url(text: str) -> str:
    """Where people and their tools find the broker: an https origin."""
    url = _url(text, ("https",))
    if url.path not in ("", "/"):
        raise Wrong("has a path", "give only https://HOST or https://HOST:PORT")
    return text.rstrip("/")


def _url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    remedy = "write for example `https://login.example.com`"
    try:
        url = urlsplit(text)
        whole = url.scheme in schemes and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        raise Wrong("is not a URL", remedy) from None
    if not whole or not text.isascii() or not text.isprintable() or " " in text:
        raise Wrong(f"is not an {schemes[0]} URL", remedy)
    if url.username is not None or "?" in text or "#" in text:
        raise Wrong("holds more than a host and a path", remedy)
    return url


def name(text: str) -> str:
    """The name of a target or of a label."""
    if not _NAME.fullmatch(text):
        raise Wrong("is not a name", "use letters, digits, `-`, `_` and `.`, at most 63, a letter or digit first")
    return text


def user_name(text: str) -> str:
    if not _USER_NAME.fullmatch(text):
        raise Wrong("is not a user name", "use letters, digits and `. _ @ + -`, a letter or digit first")
    return text


def group_name(text: str) -> str:
    """The name of a group, as a token could say it."""
    if len(text) > MAX_GROUP or not text.isprintable() or text != text.strip():
        raise Wrong("is not the name of a group", "use printable characters, at most 256, no space at the ends")
    return text


def data_class(text: str) -> str:
    """What a column holds, as policies name it."""
    if not CLASS_NAME.fullmatch(text):
        raise Wrong("is not the name of a data class", "use lower-case words and dashes, for example `national-id`")
    return text


def column(text: str) -> ColumnName:
    """`schema.table.column` or `table.column` (of `public`), as stored in the catalog; quoted as SQL quotes."""
    parts = _parts(text)
    match parts:
        case [table, column_name]:
            return ColumnName("public", table, column_name)
        case [schema, table, column_name]:
            return ColumnName(schema, table, column_name)
        case _:
            raise Wrong("does not name a column", "write `schema.table.column` or `table.column`")


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while at <= len(text):
        found = _PART.match(text, at)
        if found is None or (found.end() < len(text) and text[found.end()] != "."):
            raise Wrong("does not name a column", 'write `schema.table.column`; quote odd names: `public."a.b".c`')
        parts.append(_identifier(found))
        at = found.end() + 1
    return parts


def _identifier(found: re.Match[str]) -> str:
    quoted, plain = found.groups()
    if quoted is None and not _PLAIN_PART.fullmatch(plain):
        # Unquoted capitals would be folded by SQL and kept by YAML: whoever is wrong, a column would go unmasked.
        raise Wrong(f"has `{plain}`, which SQL would need in quotes", f'write `"{plain}"`, or all in lower case')
    identifier = plain if quoted is None else quoted.replace('""', '"')
    if len(identifier.encode()) > MAX_IDENTIFIER:
        raise Wrong("has a name longer than PostgreSQL keeps (63 bytes)", "write the name as the catalog has it")
    return str(identifier)

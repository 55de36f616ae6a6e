"""Read `hoopx.yaml`: everything that is wrong with it is told at once, and nothing that is wrong gets through."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import cast

from msgspec import structs

from hoopx_broker.daemon import values
from hoopx_broker.daemon.config_evidence import check_retention, read_evidence
from hoopx_broker.daemon.config_identity import read_accounts, read_identity
from hoopx_broker.daemon.config_notify import read_notify
from hoopx_broker.daemon.config_sections import read_sections
from hoopx_broker.daemon.config_state import read_state
from hoopx_broker.daemon.config_targets import read_targets
from hoopx_broker.daemon.pem import check_pair
from hoopx_broker.daemon.problems import Problems, Wrong
from hoopx_broker.daemon.reading import HOLE, Section
from hoopx_broker.daemon.references import References
from hoopx_broker.daemon.yaml_marks import leaves, read_marked
from hoopx_broker.terms.settings import BrokerConfig, ServerTls

# Ten thousand targets with classified columns are about this large.
MAX_FILE = 8 * 1024 * 1024
# A certificate with a chain of ten and room for comments.
MAX_PEM = 256 * 1024

DEFAULT_LISTEN = "127.0.0.1:8443"


def load(path: Path, environ: Mapping[str, str]) -> BrokerConfig:
    """The configuration in `path`, all of it checked. Raises `BadConfig` with every problem found.

    Where `listen` has the port 0 and no `public_url` is said, `public_url` ends in `:0`: whoever binds knows the port.
    """
    problems = Problems(path)
    home = path.absolute().parent
    references = References(home, environ)
    content = _content_of(path, references, problems)
    text = _text_of(content, problems)
    marked = read_marked(text, problems) if text is not None else None
    config = _broker(Section(marked, problems, references), references, home, path) if marked else HOLE
    problems.raise_if_any()
    assert content is not None
    assert marked is not None
    digest = sha256(content).hexdigest()
    return structs.replace(cast(BrokerConfig, config), sha256=digest, written=dict(leaves(marked)))


def _content_of(path: Path, references: References, problems: Problems) -> bytes | None:
    try:
        return references.read(path.absolute(), MAX_FILE)
    except Wrong as wrong:
        problems.note(0, "", wrong.what, "give the path with `--config` or HOOPX_CONFIG")
    return None


def _text_of(content: bytes | None, problems: Problems) -> str | None:
    try:
        return content.decode("utf-8-sig") if content is not None else None
    except UnicodeDecodeError:
        problems.note(0, "", "is not UTF-8 text", "save it as UTF-8")
    return None


def _broker(top: Section, references: References, home: Path, source: Path) -> BrokerConfig:
    shared = read_sections(top, references)
    host, port = top.parsed_or("listen", values.host_port, values.host_port(DEFAULT_LISTEN)) or (HOLE, HOLE)
    identity, embedded = read_identity(top)
    targets = read_targets(top, shared)
    recordings, evidence = read_evidence(top, home, shared)
    check_retention(
        top, evidence.retention, {each.name: each.retention for each in targets.values() if each is not HOLE}
    )
    config = BrokerConfig(
        host=host,
        port=port,
        public_url=_public_url(top, host, port),
        tls=_tls(top, host),
        state=read_state(top, references, home),
        recordings=recordings,
        policies=top.unfollowed_or("policies", lambda text: _policies(text, home), "policies"),
        identity=identity,
        embedded=embedded,
        targets=targets,
        accounts=read_accounts(top),
        source=source.absolute(),
        notify=read_notify(top, targets),
        evidence=evidence,
    )
    top.close()
    return config


def _public_url(top: Section, host: str, port: int) -> str:
    if top.has("public_url"):
        return top.parsed("public_url", values.public_url)
    if host is HOLE:
        return HOLE
    if values.is_unspecified(host):
        top.note("public_url", "is missing", f"nobody can go to {host}: say by which https URL people reach the broker")
    return f"https://{values.in_url(host)}:{port}"


def _tls(top: Section, host: str) -> ServerTls | None:
    section = top.section_or_none("tls")
    if section is None:
        if host is not HOLE and not values.is_loopback(host):
            remedy = "add `tls: {cert: …, key: …}`, or listen on 127.0.0.1 with a self-made certificate"
            top.note("tls", f"is missing although the broker listens on {host}", remedy)
        return None
    cert, key = section.path("cert", MAX_PEM), section.path("key", MAX_PEM)
    section.close()
    if cert is HOLE or key is HOLE:
        return None
    try:
        check_pair(cert[1], key[1])
    except Wrong as wrong:
        top.note("tls", wrong.what, wrong.remedy)
    return ServerTls(cert=cert[0], key=key[0])


def _policies(text: str, home: Path) -> Path:
    if "\0" in text or not (home / text).is_dir():
        raise Wrong("is not a directory", "name the directory that holds the *.cedar files")
    return home / text

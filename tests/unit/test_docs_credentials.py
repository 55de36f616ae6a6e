"""The pages on credential sources: every configuration in them is read as a broker reads it, and the code runs."""

from __future__ import annotations

import asyncio
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from hoopx_broker.daemon.config import load
from hoopx_broker.daemon.plugins import issuer_class
from hoopx_broker.daemon.problems import BadConfig, Problem, Wrong
from hoopx_broker.seams.issuer import Renews
from hoopx_broker.terms.targets import Target
from hoopx_plugins.static import StaticIssuer, StaticOptions
from tests.peers.certificates import Authority
from tests.unit.leases_stage import order
from tests.unit.minting import lease_of, login_of, pinned

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "credentials.md", *sorted((DOCS / "credentials").glob("*.md"))]
REST: dict[str, Any] = {"identity": [{"kind": "embedded", "users": {"ann": {"password": "one"}}}], "policies": "."}
TARGET: dict[str, Any] = {"kind": "postgres", "address": "db.internal", "database": "app"}

_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_PLACE = re.compile(r"(?<=[\s\"':,{\[])(?:file:)?(/(?:etc|run|var)/[^\s\"',}\]]+)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


SAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"), 1)
]


class Environment:
    """Stands for one in which every variable of a page is set."""

    def get(self, name: str) -> str:
        return f"value-of-{name.lower()}-0123456789"


def whole(said: dict[str, Any]) -> dict[str, Any]:
    """A part of a configuration, and what it leaves out: a target, its `credentials`, or a shared section."""
    if "targets" in said:
        return REST | said
    if "credentials" in said:
        return REST | {"targets": {"db": TARGET | said}}
    login = {"from": "static", "user": "u", "password": "p"}
    return REST | said | {"targets": {"db": TARGET | {"credentials": login}}}


def written(home: Path, text: str) -> Path:
    """The configuration in a file, with all the files that it names beside it."""
    (home / "secrets").mkdir()

    def beside(named: re.Match[str]) -> str:
        place = home / named[1].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        filled(place)
        return named[0].replace(named[1], str(place))

    text = _PLACE.sub(beside, text)
    for name in re.findall(r"file:([\w./-]+)|\b(?:ca|\w+_file): *([\w./-]+)", text):
        place = home / (name[0] or name[1])
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            filled(place)
    file = home / "hoopx.yaml"
    # What lies in a store that is not here has tests of its own.
    file.write_text(yaml.safe_dump(whole(yaml.safe_load(re.sub(r"vault:[^\s]+#\w+", "from-the-store", text)))))
    return file


_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}'


def filled(place: Path) -> None:
    if place.suffix in (".pem", ".crt"):
        Authority.make("the page's").write(place)
    elif place.suffix == ".json":
        place.write_text(_POLICY)
    else:
        place.write_text("what a page's file holds\n")


def installed(text: str) -> bool:
    try:
        for source in re.findall(r"\bfrom: *([\w-]+)", text):
            issuer_class(source)
    except Wrong:
        return False
    return True


@pytest.mark.parametrize("text", SAMPLES)
def test_every_configuration_of_the_pages_holds(tmp_path: Path, text: str) -> None:
    """Of a target whose kind is not available yet, that and its missing keys may be wrong."""
    assert installed(text), "it names a source that is not there"
    found = problems(written(tmp_path, text))
    later = {each.key.removesuffix(".kind") for each in found if "not available yet" in each.what}
    excused = {f"{target}.{key}" for target in later for key in ("kind", "address", "database")}
    assert [str(each) for each in found if each.key not in excused] == []


def problems(file: Path) -> list[Problem]:
    try:
        load(file, Environment())  # type: ignore[arg-type]
    except BadConfig as bad:
        return bad.problems
    return []


def test_every_source_that_is_installed_has_a_page() -> None:
    table = (DOCS / "credentials.md").read_text(encoding="utf-8")
    for source in entry_points(group="hoopx.issuers").names:
        assert (DOCS / "credentials" / f"{source}.md").exists(), source
        assert f"(credentials/{source}.md)" in table


# --- static: where its secret may lie ---


def test_a_fixed_login_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    from_environment, from_files, _ = blocks(DOCS / "credentials" / "static.md", "yaml")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "legacy-password").write_text("of-the-file\n")
    environ = {"LEGACY_PASSWORD": "of-the-environment", "LEGACY_USER": "app2"}
    logins = [loaded(tmp_path, text, environ) for text in (from_environment, from_files)]
    assert [(user, password) for user, password in logins] == [("app", "of-the-environment"), ("app2", "of-the-file")]


def loaded(home: Path, text: str, environ: dict[str, str]) -> tuple[str, str]:
    (home / "hoopx.yaml").write_text(yaml.safe_dump(whole(yaml.safe_load(text))))
    target = load(home / "hoopx.yaml", environ).targets["db"]
    assert isinstance(target.credentials, StaticOptions)
    login = login_of(asyncio.run(StaticIssuer().issue(replace(order(), target=target), pinned)))
    assert login.password.reveal() not in repr(target)
    return login.user, login.password.reveal()


@pytest.mark.parametrize(("environ", "told"), [({}, "is not set"), ({"LEGACY_PASSWORD": ""}, "is empty")])
def test_a_fixed_login_without_its_secret_is_told_at_the_start(
    tmp_path: Path, environ: dict[str, str], told: str
) -> None:
    with pytest.raises(BadConfig, match=f"LEGACY_PASSWORD`, which {told}"):
        loaded(tmp_path, blocks(DOCS / "credentials" / "static.md", "yaml")[0], environ)


# --- own-source: the code of the page ---


@pytest.fixture
def acme() -> dict[str, Any]:
    (code,) = blocks(DOCS / "credentials" / "own-source.md", "python")
    names: dict[str, Any] = {"__name__": "acme_hoopx"}
    exec(compile(code, "own-source.md", "exec"), names)  # noqa: S102 - the page's own code is what is tested
    return names


def test_the_source_of_the_page_works_as_the_seam_promises(acme: dict[str, Any]) -> None:
    issuer = acme["AcmeIssuer"]()
    assert isinstance(acme["AcmeIssuer"](), Renews)
    pins: list[dict[str, str]] = []

    async def play() -> None:
        async def pin(handle: dict[str, str]) -> None:
            assert not issuer.sold
            pins.append(handle)

        issued = await issuer.issue(order(), pin)
        assert pins == [issued.handle]
        renewed = await issuer.renew(lease_of(order(), issued), issued.credential, order(), pin)
        assert renewed.handle == issued.handle
        for _ in range(2):
            await issuer.revoke(lease_of(order()), target())
        assert not issuer.sold

    def target() -> Target:
        return order().target

    asyncio.run(play())


def test_the_options_of_the_page_refuse_nonsense(acme: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="vending machine"):
        acme["AcmeOptions"](machine="../x", key="k")

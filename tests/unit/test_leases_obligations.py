"""A source that does not look at what rules bind a credential to makes none that is bound."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec import structs

from hoopx_broker.terms.errors import BackendFailed
from hoopx_broker.terms.leases import concerns
from tests.peers.lease_list import leases
from tests.unit.leases_stage import SourceDouble, order, stage


class Heeding(SourceDouble):
    heeds: ClassVar[frozenset[str]] = frozenset({"profile"})


def test_a_source_that_would_not_look_is_not_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path) as s:
            with pytest.raises(BackendFailed, match="a rule binds the session by `@profile`") as refused:
                await s.keeper.lease(structs.replace(order(), obligations={"profile": ("read",)}))
            assert "by a condition" in refused.value.hint
            assert s.source.issued == 0
            assert await leases(s.keeper) == ()

    asyncio.run(scene())


def test_one_that_looks_is_asked_and_what_is_about_others_binds_nobody(tmp_path: Path) -> None:
    async def scene() -> None:
        async with stage(tmp_path, source=Heeding()) as s:
            obligations = {"profile": ("read",), "aws_policy": ("arn:aws:iam::aws:policy/ReadOnlyAccess",)}
            await s.keeper.lease(structs.replace(order(), obligations=obligations))
            assert s.source.issued == 1

    asyncio.run(scene())


def test_what_an_obligation_is_about() -> None:
    assert concerns("aws_policy", "aws")
    assert concerns("profile", "postgres")
    assert not concerns("aws_policy", "postgres")
    assert not concerns("profile", "aws")


def test_which_sources_keep_which() -> None:
    """Whoever reads `order.obligations` says so, or its targets refuse every session that is bound."""
    found: dict[str, frozenset[str]] = {
        each.name: getattr(each.load(), "heeds", frozenset()) for each in entry_points(group="hoopx.issuers")
    }
    kept = {name: heeds for name, heeds in found.items() if heeds}
    assert kept == {
        "aws-assume-role": {"aws_policy"},
        "aws-web-identity": {"aws_policy"},
        "postgres-role": {"profile"},
        "mysql-role": {"profile"},
    }

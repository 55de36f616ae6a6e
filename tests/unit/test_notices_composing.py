"""What is told of a request: facts and people's words made harmless, and of a statement nothing but its form."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from hoopx_broker.api.messages import Ballot, RequestView
from hoopx_broker.notices.composing import MAX_TEXT, Composer
from hoopx_broker.notices.outbox import Due
from hoopx_broker.policy.facts.normal import MAX_NORMAL, normal
from hoopx_broker.session.reader import StatementReader
from hoopx_broker.terms.approvals import Effects, Happening
from hoopx_broker.terms.errors import Unknown
from hoopx_broker.terms.ids import RequestId
from hoopx_broker.terms.notices import Notice
from hoopx_plugins.notice_body import body_of
from tests.unit.notices_stage import NOON, VIEW

HOSTILE = "ok\r\nState: approved\x1b[2J\u202e\u200b <!here> p\u0430ypal"


def composed(view: RequestView, statement: str = "", happening: Happening | None = None) -> Notice:
    """Through the real reader of statements."""
    bare = replace(view, statement="", canonical="")
    due = Due("msg_1", "hook", happening or Happening("r_1", "asked", NOON), bare, 0, NOON, {})

    async def scene() -> Notice:
        reader = StatementReader()

        async def stored(_: RequestId) -> RequestView:
            if not statement:
                raise Unknown("there is no request `r_1`")
            return replace(view, statement=statement)

        try:
            return await Composer(stored, reader.normal).notice(due)
        finally:
            await reader.close()

    return asyncio.run(scene())


def test_a_statement_is_told_without_its_values_and_comments() -> None:
    view = replace(VIEW, kind="statement", effects=Effects(("update",), ("update public.people",)))
    sent = (
        "update people set mail = 'ann@secret.example' /* secret */ where ssn = $1 and age > 41 -- secret\n"
        '-- $1 = "078-05-1120 secret"'
    )
    notice = composed(view, sent)
    assert notice.statement == "update people set mail = $2 where ssn = $1 and age > $3"
    assert notice.tables == ("update public.people",)
    whole = body_of(notice).decode()
    assert not [value for value in ("secret", "078-05", "41") if value in whole]


def test_nothing_is_told_of_a_statement_whose_form_cannot_be_had() -> None:
    view = replace(VIEW, kind="statement")
    assert composed(view, "select 'secret").statement == ""
    assert composed(view).statement == ""


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("select E'a\\'b', U&'c', x'ff', b'01', 1.5e3, 0x1F", "select $1 , $2 , $3 , $4 , $5 , $6"),
        ("select $tag$ 'secret' $tag$", "select $1"),
        ("do $$ begin perform 'secret'; end $$", "do $1"),
        ("alter role x password 'secret'", "alter role x password $1"),
        ("set search_path = 'secret'; notify x, 'secret'", "set search_path = $1 ; notify x , $2"),
        ("set local x.y = secret; select a", "set local x . y = $1 ; select a"),
        ("alter role r set x to secret, 'secret'", "alter role r set x to $1 , $2"),
        ("update t set a = b", "update t set a = b"),
        ("alter table t rename to u", "alter table t rename to u"),
        ("comment on table t is 'secret'", "comment on table t is $1"),
        ("execute p('secret', 7)", "execute p ( $1 , $2 )"),
        ("select /* a /* secret */ secret */ 1--secret\r, 2", "select $1 , $2"),
        ("select 'a'\n'secret'", "select $1"),
        ("select N'secret', 'x'::varchar(10)", "select N $1 , $2 :: varchar ( $3 )"),
        # As whoever thinks of MySQL writes values: names to PostgreSQL, and yet no names.
        ('select 1 where ssn = "078-05-1120" or "Mail" = "ann@x"', 'select $1 where ssn = "…" or "Mail" = "…"'),
        ("select 'secret", ""),
        ("select 'a' /* secret", ""),
        ("", ""),
        ("select '\0secret'", ""),
        ("select '" + "x" * 2_000_000 + "'", ""),
    ],
    ids=range(20),
)
def test_no_literal_is_left_in_a_form(text: str, form: str) -> None:
    assert normal(text.encode()) == form


def test_a_form_is_bounded() -> None:
    assert len(normal(b"select a" + b", a" * 5_000)) == MAX_NORMAL
    assert normal(b"select \xff") == ""


def test_hostile_words_are_one_line_in_which_all_can_be_seen() -> None:
    """They forge no line of the message, obey no terminal, and look like nothing else."""
    view = replace(
        VIEW,
        requester=HOSTILE,
        reason=HOSTILE,
        ticket=HOSTILE,
        target=HOSTILE,
        on_behalf_of=HOSTILE,
        rules=(HOSTILE,),
        approvers={HOSTILE: 1},
        ballots=(Ballot(HOSTILE, "approve", HOSTILE, NOON),),
    )
    notice = composed(view, happening=Happening("r_1", "approve", NOON, HOSTILE, "waiting", HOSTILE))
    words = (
        notice.requester,
        notice.reason,
        notice.ticket,
        notice.target,
        notice.on_behalf_of or "",
        notice.by,
        notice.comment,
        notice.votes[0].by,
        notice.votes[0].comment,
        *notice.rules,
        *notice.approvers,
    )
    for each in words:
        assert each.isprintable()
        assert "U+202E" in each
        assert "U+001B" in each
        assert "looks like a" in each


def test_what_is_long_is_read_on_the_page() -> None:
    view = replace(VIEW, reason="x" * 2_000, rules=tuple(map(str, range(100))))
    notice = composed(view)
    assert len(notice.reason) == MAX_TEXT
    assert len(notice.rules) == 31

"""The runner of PostgreSQL's own suite: it must see every difference, and excuse none that is not on its list."""

from __future__ import annotations

from pathlib import Path

from hoopx_broker.terms.entries import Statement
from tests.peers.postgres import Installation
from tests.regress.compare import Hunk, hunks
from tests.regress.explained import REASONS, explain
from tests.regress.recorded import tally
from tests.regress.report import Compared, Total
from tests.regress.source import Suite

MAGIC = b") PARTITION BY MAGIC (a);\nERROR:  unrecognized\n"
PLACED = MAGIC + b"LINE 3: ) PARTITION BY MAGIC (a);\n                       ^\n"


def test_equal_outputs_have_no_difference_and_a_changed_byte_is_one() -> None:
    assert hunks(b"one\ntwo\n", b"one\ntwo\n") == []
    assert hunks(b"one\ntwo\nend\n", b"one\n2\nend\n") == [Hunk(2, ("two",), ("2",))]


def test_lines_that_only_one_way_gave_and_bytes_that_are_no_text_are_seen() -> None:
    assert hunks(b"one\nend\n", b"one\nmore\nend\n") == [Hunk(1, (), ("more",))]
    assert len(hunks(b"\xff\x00\n", b"\xfe\x00\n")) == 1
    assert len(hunks(b"one\n", b"one")) == 1


def test_a_difference_is_excused_in_its_own_file_only_and_as_a_whole_only() -> None:
    [hunk] = hunks(MAGIC, PLACED)
    assert explain("create_table", hunk) == REASONS[0].name
    assert explain("boolean", hunk) is None
    assert explain("create_table", Hunk(hunk.line, ("HINT:  lost",), hunk.through)) is None
    assert explain("create_table", Hunk(hunk.line, hunk.direct, (*hunk.through, "ERROR:  more"))) is None


def test_a_known_difference_is_known_with_the_code_of_its_error_too() -> None:
    before, after = "cannot be marked NOT VALID", "constraints cannot be altered to be NOT VALID"
    place = ("LINE 1: ALTER TABLE t", "    ^")
    for code in ("", "0A000: "):
        hunk = Hunk(1, (f"ERROR:  {code}FOREIGN KEY constraints {before}",), (f"ERROR:  {code}{after}", *place))
        assert explain("foreign_key", hunk) is not None


def test_one_unexplained_difference_is_enough_to_name_the_file() -> None:
    total = Total("suite")
    total.add(Compared.of("boolean", b"t\n", b"t\n"), as_expected=True)
    total.add(Compared.of("create_table", MAGIC, PLACED), as_expected=False)
    assert total.unexplained == []
    assert "2 files: 1 equal to the byte, 1 different for known reasons" in total.told()
    total.add(Compared.of("create_table", MAGIC, PLACED + b"gone\n"), as_expected=False)
    assert total.unexplained == ["create_table"]


def test_what_was_not_let_through_is_counted_by_reason_wherever_it_stood() -> None:
    said = [
        Statement("s", 1, "select 1", "allow", ("everything",)),
        Statement("s", 2, "selec", "deny", ("parse",), "syntax error at character 1"),
        Statement("s", 3, "select selec (", "deny", ("parse",), "syntax error at character 14"),
    ]
    assert tally(said).statements == 3
    assert tally(said).refused == {"parse: syntax error": 2}


def test_the_schedule_is_kept_and_what_it_does_not_name_comes_last(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    for name in ("later", "setup", "beside", "a_newer_one"):
        (tmp_path / "sql" / f"{name}.sql").touch()
    (tmp_path / "parallel_schedule").write_text("# test: not\ntest: setup\n\ntest: later gone beside\n")
    suite = Suite(Installation("15.1", tmp_path, "installed"), tmp_path)
    assert suite.schedule() == ["setup", "later", "beside", "a_newer_one"]


def test_every_variant_that_developers_keep_counts_as_expected(tmp_path: Path) -> None:
    (tmp_path / "expected").mkdir()
    (tmp_path / "expected" / "xml.out").write_bytes(b"with libxml\n")
    (tmp_path / "expected" / "xml_1.out").write_bytes(b"without\n")
    suite = Suite(Installation("15.1", tmp_path, "installed"), tmp_path)
    assert suite.expects("xml", b"without\n")
    assert suite.expects("xml", b"with libxml\n")
    assert not suite.expects("xml", b"something else\n")

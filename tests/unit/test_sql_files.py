"""Files at the prompt: what `\\copy` says to the server and to the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hoopx_broker.terms.errors import BadInput
from hoopx_cli.sql.files import Copy, Writing, copy_of, path_of, reading


def _reads(text: str, file: str) -> Copy:
    return Copy(text, is_read=True, path=Path(file))


def _writes(text: str, file: str | None) -> Copy:
    return Copy(text, is_read=False, path=Path(file) if file else None)


@pytest.mark.parametrize(
    ("words", "copy"),
    [
        ("t from /a/b.csv", _reads("COPY t FROM STDIN", "/a/b.csv")),
        (
            "t (a, b) FROM 'it''s here' (format csv)",
            _reads("COPY t (a, b) FROM STDIN (format csv)", "it's here"),
        ),
        ("(select a from t) to x csv header", _writes("COPY (select a from t) TO STDOUT csv header", "x")),
        ("(select ')' from \"from\") to x", _writes("COPY (select ')' from \"from\") TO STDOUT", "x")),
        (
            "(select $a$) to$a$, E'\\') to ') to x",
            _writes("COPY (select $a$) to$a$, E'\\') to ') TO STDOUT", "x"),
        ),
        ('"to" to stdout', _writes('COPY "to" TO STDOUT', None)),
    ],
)
def test_a_copy_is_read_as_psql_reads_it(words: str, copy: Copy) -> None:
    assert copy_of(words) == copy


@pytest.mark.parametrize(
    "words", ["", "t", "t to", "from x", "t from", "(a to x", "t from stdin", "t to program 'rm x'"]
)
def test_what_is_no_copy_is_told_with_what_to_do(words: str) -> None:
    with pytest.raises(BadInput) as told:
        copy_of(words)
    assert told.value.hint


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path, link = tmp_path / "data", tmp_path / "link"
    link.symlink_to(path)
    path.write_text("before")
    path.chmod(0o640)
    file = Writing(link)
    assert file.write(b"half")
    assert path.read_text() == "before"
    file.drop()
    assert path.read_text() == "before"
    file = Writing(link)
    file.write(b"all")
    file.keep()
    file.drop()
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), link.is_symlink()) == ("all", 0o640, True)
    assert {each.name for each in tmp_path.iterdir()} == {"data", "link"}


def test_what_is_no_file_is_neither_read_nor_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("fifo", "", "no/such", "loop"):
        for use in (Writing, lambda path: reading(path).__enter__()):
            with pytest.raises(BadInput):
                use(tmp_path / name)
    with pytest.raises(BadInput):
        path_of("''")
    assert path_of("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")

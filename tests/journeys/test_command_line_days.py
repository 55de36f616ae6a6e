"""What PostgreSQL's own programs do all day: psql's every backslash command, dumps, restores, pgbench in all modes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.journeys.library import LibraryStage
from tests.peers import clients, found
from tests.peers.clients import Outcome

PSQL_DAY = Path(__file__).parents[1] / "peers" / "days" / "psql_day.sql"
# Who is connected, which is the one thing that may differ; and the random word with which a dump begins and ends.
DIFFERS = re.compile(r'(?<=as user ")\w+|^\\(un)?restrict .*\n', re.MULTILINE)


def beside(library: LibraryStage, target: str, command: Sequence[object], who: str = "ann") -> tuple[str, str]:
    """What a command says through the broker and what it says straight, both within one session: roles are the same."""
    straight = [f"{name}={value}" for name, value in library.straight_environment(target).items()]
    said = shlex.join(map(str, command)) + " 2>&1"
    between = "== and now straight at the server ==\n"
    script = f"{said}; printf %s {shlex.quote(between)}; env {shlex.join(straight)} {said}"
    through, _, direct = library.exec(target, ["sh", "-c", script], who).fine().out.partition(between)
    return DIFFERS.sub("", through), DIFFERS.sub("", direct)


def test_each_backslash_command_of_psql_says_what_it_says_without_a_broker(library: LibraryStage) -> None:
    through, direct = beside(library, "library-prod", [*clients.psql(options=()), "-f", PSQL_DAY])
    assert through.splitlines() == direct.splitlines()
    assert "a new connection" in through


def test_masks_change_nothing_of_what_psql_tells_of_a_catalog(library: LibraryStage, tmp_path: Path) -> None:
    looks = tmp_path / "looks.sql"
    looks.write_text(PSQL_DAY.read_text().partition("\\echo == copies")[0])
    through, direct = beside(library, "library-masked", [*clients.psql(options=()), "-f", looks])
    assert through.splitlines() == direct.splitlines()
    assert "a new connection" not in through


@pytest.mark.parametrize(
    "options",
    [
        ["--no-blobs"],
        ["--schema-only"],
        ["--data-only", "--no-blobs", "--serializable-deferrable"],
        ["--column-inserts", "--rows-per-insert=7", "--schema=library", "--no-blobs"],
        ["--clean", "--if-exists", "--create", "--table=library.book"],
    ],
    ids=" ".join,
)
def test_a_dump_is_the_same_byte_for_byte(library: LibraryStage, options: list[str]) -> None:
    through, direct = beside(library, "library-prod", [found.program("pg_dump"), *options])
    assert through == direct
    assert "PostgreSQL database dump complete" in through


def test_a_dump_of_the_globals_is_the_same(library: LibraryStage) -> None:
    dumped = [str(found.program("pg_dumpall")), "--globals-only", "--no-role-passwords", "--database=app"]
    through, direct = beside(library, "library-prod", dumped)
    assert through == direct
    assert "CREATE ROLE app_read" in through


@pytest.fixture(scope="module")
def archives(library: LibraryStage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dumps through the broker: one file, and one directory that two connections filled from one snapshot."""
    home = tmp_path_factory.mktemp("archives")
    dump = [str(found.program("pg_dump")), "--no-blobs"]
    library.exec("library-prod", [*dump, "-Fc", "-f", str(home / "file")]).fine()
    library.exec("library-prod", [*dump, "-Fd", "-j2", "-f", str(home / "directory")], who="dora").fine()
    return home


@pytest.mark.parametrize("archive", ["file", "directory"])
def test_an_archive_holds_what_one_made_without_a_broker_holds(
    library: LibraryStage, archives: Path, archive: str
) -> None:
    plain = library.straight([found.program("pg_restore"), "-f", "-", archives / archive]).fine().out
    direct = library.straight([found.program("pg_dump"), "--no-blobs"]).fine().out
    assert _statements(plain) == _statements(direct)


def test_a_dump_is_restored_where_its_reader_may_write(library: LibraryStage, archives: Path) -> None:
    """By a dba, because a dump of everything holds casts and policies, which are theirs."""
    restore = [str(found.program("pg_restore")), "--no-owner", "--no-privileges", "--no-publications"]
    restore += ["--exit-on-error", "--dbname", "library_copy"]
    try:
        for archive, how in (("directory", "-j2"), ("file", "--single-transaction")):
            again = ["--clean", "--if-exists", how, str(archives / archive)]
            library.exec("copy-dev", [*restore, *again], who="dora").fine()
            assert _held(library, "copy-dev") == _held(library, "library-prod")
    finally:
        library.emptied()


def test_a_developer_restores_the_data_of_tables(library: LibraryStage, archives: Path) -> None:
    restore = [
        str(found.program("pg_restore")),
        "--no-owner",
        "--no-privileges",
        "--exit-on-error",
        "-d",
        "library_copy",
    ]
    tables = ["-n", "public", "-t", "customers", "-t", "analytics_daily"]
    try:
        library.exec("copy-dev", [*restore, *tables, str(archives / "file")]).fine()
        library.exec("copy-dev", [*restore, *tables, "--clean", "-j2", str(archives / "directory")]).fine()
        counted = library.psql("copy-dev", "SELECT count(*) FROM customers, analytics_daily").fine().out
        assert counted == "12000\n"
    finally:
        library.emptied()


def test_a_dump_of_masked_tables_is_a_masked_dump(library: LibraryStage) -> None:
    outcome = library.exec("library-masked", [str(found.program("pg_dump")), "--no-blobs"]).fine()
    assert "Ursula" not in outcome.out
    assert "*****" in outcome.out
    assert "Title 1 " in outcome.out


@pytest.fixture(scope="module")
def bench(library: LibraryStage) -> Iterator[LibraryStage]:
    """The tables of pgbench, made through the broker by a developer, rows made by the server and by the client."""
    found.require("pgbench")
    for steps in ("dtGvpf", "dtgvpf"):
        library.exec("copy-dev", _pgbench("-i", "-q", "-I", steps)).fine()
    yield library
    library.emptied()


PIPELINE = """\
\\set aid random(1, 100000)
\\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid + 1;
\\endpipeline
SELECT :aid AS got, 'two' AS more \\gset my_
\\if :my_got < 1
\\set broken :no_such_variable
\\endif
"""


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench_runs_in_all_modes(bench: LibraryStage, tmp_path: Path, mode: str) -> None:
    script = tmp_path / "pipeline.sql"
    script.write_text(PIPELINE)
    runs = [["-t", "20"], ["-t", "20", "-S"], ["-t", "20", "-N"], ["-t", "5", "-S", "-C"]]
    runs += [["-t", "20", "-f", str(script)]] if mode != "simple" else []  # there are no simple pipelines
    for run in runs:
        outcome = bench.exec("copy-dev", _pgbench("-n", "-M", mode, "-c", "4", "-j", "2", *run)).fine()
        wanted = 4 * int(run[1])
        assert f"actually processed: {wanted}/{wanted}" in outcome.out, outcome.out
        assert "error" not in outcome.err


def test_pgbench_finds_the_same_money_in_tellers_and_branches(bench: LibraryStage) -> None:
    bench.exec("copy-dev", _pgbench("-c", "2", "-t", "25", "-M", "prepared")).fine()  # it truncates the history first
    sums = "SELECT (SELECT count(*) FROM pgbench_history), (SELECT sum(tbalance) FROM pgbench_tellers) = sum(bbalance)"
    seen: Outcome = bench.psql("copy-dev", f"{sums} FROM pgbench_branches").fine()
    assert seen.out == "50|t\n"


def _pgbench(*options: str) -> list[str]:
    return [str(found.program("pgbench")), *options]


def _statements(dump: str) -> list[str]:
    """The lines of a dump but for comments, which tell when and from what it was made."""
    return [line for line in DIFFERS.sub("", dump).splitlines() if not line.startswith("--") and line]


def _held(library: LibraryStage, target: str) -> list[str]:
    """What a database holds, as far as it does not depend on who owns it."""
    dump = [str(found.program("pg_dump")), "--no-owner", "--no-privileges", "--no-publications", "--no-blobs"]
    return _statements(library.straight(dump, target).fine().out)

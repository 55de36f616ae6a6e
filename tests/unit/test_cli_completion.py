"""TAB in bash: commands, options and names, without starting Python and without running what a broker sent."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from hoopx_broker.terms.secret import Secret
from hoopx_cli import names
from hoopx_cli.completion import FILES, Shell, folder
from hoopx_cli.completion_tree import spots
from hoopx_cli.roster import Account, Accounts, Roster
from hoopx_cli.settings import DEFAULT_BROKER, Remembered, Settings, remember

BASH = shutil.which("bash") or "/bin/bash"
SCRIPT = folder() / FILES[Shell.BASH]


def kept(home: Path, kind: str, *known: str, broker: str = DEFAULT_BROKER, account: str | None = None) -> None:
    names.keep(Settings(broker, None, home, account=account), kind, known)


def completed(home: Path, *words: str, **environ: str) -> list[str]:
    """What TAB offers at the end of `hoopx words...`; the last word is the one being typed.

    As bash does, with the words broken at `@`, too.
    """
    line = [part for word in ("hoopx", *words) for part in re.split("(?=[@=])", word)]
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in line)
    whole = " ".join(("hoopx", *words))
    code = (
        f"source '{SCRIPT}'; COMP_WORDBREAKS=$' @='; COMP_LINE='{whole}'; COMP_POINT={len(whole)}; "
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _hoopx; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [BASH, "--norc", "-c", code],
        env={"HOOPX_HOME": str(home), "PATH": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return sorted(line for line in done.stdout.splitlines() if line)


def test_commands_and_subcommands(tmp_path: Path) -> None:
    assert completed(tmp_path, "con") == ["config", "connect"]
    assert completed(tmp_path, "sessions", "re") == ["replay"]
    assert completed(tmp_path, "completion", "") == ["bash", "fish", "powershell", "zsh"]


def test_options(tmp_path: Path) -> None:
    assert completed(tmp_path, "exec", "prod-db", "--re") == ["--reason", "--request"]


def test_what_an_option_takes(tmp_path: Path) -> None:
    assert completed(tmp_path, "ls", "-o", "") == ["json", "table"]
    assert completed(tmp_path, "classify", "prod-db", "--output", "") == ["json", "table", "yaml"]
    assert completed(tmp_path, "sessions", "export", "s_1", "--format=as") == ["asciicast"]
    assert completed(tmp_path, "requests", "ls", "--state", "w") == ["waiting"]


def test_behind_an_option_that_takes_anything_nothing_is_offered(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "prod-db")
    assert completed(tmp_path, "connect", "--reason", "") == []


def test_names_come_from_the_cache(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "prod-db", "prod-cache", "stage-db")
    kept(tmp_path, "sessions", "s_1")
    kept(tmp_path, "requests", "r_1")
    kept(tmp_path, "users", "ann@example.com")
    assert completed(tmp_path, "connect", "prod") == ["prod-cache", "prod-db"]
    assert completed(tmp_path, "exec", "prod-db", "st") == ["stage-db"]
    assert completed(tmp_path, "sessions", "kill", "") == ["s_1"]
    assert completed(tmp_path, "approve", "") == ["r_1"]
    assert completed(tmp_path, "admin", "revoke", "a") == ["ann@example.com"]
    assert completed(tmp_path, "whoami", "") == []


def test_each_broker_and_account_has_names_of_its_own(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "of-nobody")
    kept(tmp_path, "targets", "of-ann", account="ann@example.com")
    kept(tmp_path, "targets", "elsewhere", broker="https://b.example.com:443")
    names.keep(Settings(DEFAULT_BROKER, None, tmp_path, token=Secret("t")), "targets", ["of-token"])
    assert completed(tmp_path, "show", "") == ["of-nobody"]
    assert completed(tmp_path, "show", "--account", "ann@example.com", "") == ["of-ann"]
    assert completed(tmp_path, "show", "--account=ann@example.com", "") == ["of-ann"]
    assert completed(tmp_path, "show", "", HOOPX_ACCOUNT="ann@example.com") == ["of-ann"]
    assert completed(tmp_path, "show", "", HOOPX_TOKEN="t", HOOPX_ACCOUNT="ann@example.com") == ["of-token"]
    for written in ("https://b.example.com", "b.example.com/", "https://b.example.com:443"):
        assert completed(tmp_path, "show", "", HOOPX_BROKER=written) == ["elsewhere"]
        assert completed(tmp_path, "show", "--broker", written, "") == ["elsewhere"]


def test_the_scripts_find_what_the_last_login_remembered(tmp_path: Path) -> None:
    """They read our own files, so this is how these are written."""
    broker = "https://b.example.com:8443"
    remember(tmp_path, Remembered(broker, "sha256:" + "0" * 64))
    ann = Account("https://i", 4e9, renews=True, place="file")
    Roster(tmp_path).keep(broker, Accounts("ann@example.com", {"ann@example.com": ann, "bob": ann}))
    names.keep(Settings(broker, None, tmp_path), "targets", ["of-ann"])
    kept(tmp_path, "targets", "of-bob", broker=broker, account="bob")
    assert completed(tmp_path, "show", "") == ["of-ann"]
    assert completed(tmp_path, "accounts", "use", "") == ["ann@example.com", "bob"]
    Roster(tmp_path).keep(broker, Accounts("ann@example.com", {"ann@example.com": ann}))
    assert completed(tmp_path, "show", "--account", "bob", "") == []
    assert not list(tmp_path.rglob("by-bob"))


def test_names_end(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "prod-db")
    (file,) = tmp_path.rglob("targets")
    file.write_text(file.read_text().replace(file.read_text().split()[2], "1000"))
    assert completed(tmp_path, "show", "") == []
    names.sweep(tmp_path)
    assert not file.exists()


def test_names_are_private(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "prod-db")
    for path in (tmp_path / "names").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_accounts_are_completed_behind_their_option_whatever_the_command(tmp_path: Path) -> None:
    every = ["ann@example.com", "anna@example.org", "bob"]
    names.keep_accounts(tmp_path, DEFAULT_BROKER, every)
    kept(tmp_path, "targets", "prod-db", account="bob")
    assert completed(tmp_path, "whoami", "--account", "") == every
    assert completed(tmp_path, "connect", "prod-db", "--account", "an") == every[:2]
    assert completed(tmp_path, "connect", "--account", "bob", "") == ["prod-db"]
    assert completed(tmp_path, "accounts", "use", "b") == ["bob"]


def test_requests_and_sessions_are_completed_behind_the_options_that_take_them(tmp_path: Path) -> None:
    kept(tmp_path, "requests", "r_1", "r_2")
    kept(tmp_path, "sessions", "s_1")
    kept(tmp_path, "targets", "prod-db")
    assert completed(tmp_path, "exec", "prod-db", "--request", "") == ["r_1", "r_2"]
    assert completed(tmp_path, "request", "prod-db", "--extend", "") == ["s_1"]
    assert completed(tmp_path, "leases", "ls", "--session", "s") == ["s_1"]
    assert completed(tmp_path, "requests", "ls", "--target", "p") == ["prod-db"]
    assert completed(tmp_path, "policy", "explain", "--extend", "") == []  # there it takes nothing


def test_of_an_address_that_bash_breaks_at_its_sign_only_the_rest_is_offered(tmp_path: Path) -> None:
    names.keep_accounts(tmp_path, DEFAULT_BROKER, ["ann@example.com", "ann@example.org", "bob@example.com"])
    assert completed(tmp_path, "whoami", "--account", "ann@ex") == ["@example.com", "@example.org"]
    assert completed(tmp_path, "whoami", "--account", "ann@") == ["@example.com", "@example.org"]


def test_a_target_called_like_a_command_confuses_nothing(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "ls")
    assert completed(tmp_path, "show", "l") == ["ls"]
    assert completed(tmp_path, "connect", "ls", "--po") == ["--port"]


def test_behind_two_dashes_it_is_the_other_commands_turn(tmp_path: Path) -> None:
    kept(tmp_path, "targets", "prod-db")
    assert completed(tmp_path, "exec", "prod-db", "--", "pro") == []


def test_without_a_cache_there_is_no_error(tmp_path: Path) -> None:
    assert completed(tmp_path, "connect", "") == []


HOSTILE = [
    "$(touch pwned)",
    "`id`",
    "a;b",
    "a b",
    "--socket",
    "-rf",
    "*",
    "a\nb",
    "x:y",
    "é",
    "../x",
    "~root",
    "x" * 200,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_mean_something_to_a_shell_are_not_kept(tmp_path: Path, name: str) -> None:
    kept(tmp_path, "targets", name, "good")
    (file,) = tmp_path.rglob("targets")
    assert file.read_text().splitlines()[1:] == ["good"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("a file, not a folder")
    kept(tmp_path, "targets", "prod-db")


def test_the_words_of_a_choice_stand_in_the_help() -> None:
    """Where the command's own type does not tell them."""
    for spot in spots():
        text = (Path(__file__).parents[1] / "golden/help" / f"{spot.path.replace(' ', '-') or 'hoopx'}.txt").read_text()
        for tokens in spot.behind.values():
            assert not [token for token in tokens.split() if token.startswith("=") and token[1:] not in text], spot.path


def test_the_script_of_powershell_is_of_its_grammar_and_knows_every_place() -> None:
    """No PowerShell is to be had for the tests: its published grammar reads the script, and nothing runs it."""
    text = (folder() / FILES[Shell.POWERSHELL]).read_bytes()
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(text).root_node.has_error
    assert parser.parse(text.replace(b"}", b"", 1)).root_node.has_error
    missing = [spot.path for spot in spots() if f"    '{spot.path}' = '{' '.join(spot.options)}'" not in text.decode()]
    assert missing == []

"""The command `hoopx doctor`, and its report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hoopx_cli.commands import group
from hoopx_cli.inert import inert
from hoopx_cli.kit import Kit
from hoopx_cli.output import MIN_COLUMNS, Form

app = group("Example: hoopx doctor")

_STATE, _CHECK = 6, 13  # columns of the report
_NARROW = 60  # a terminal with fewer has the words below, not beside


@app.command()
def doctor(kit: Kit) -> int:
    """Example: hoopx doctor

    Look at everything that a command needs, and say how to mend what is not as it should be: settings, the way to the
    broker, its certificate, clocks, who you are, keyring, local sockets, versions and completion.
    Leaves with 0 where commands work, else with the code that a command would leave with. Nothing is changed, but for a
    login near its end, which is renewed as by every command.
    """
    # What it takes to look everywhere is imported by no other command.
    from hoopx_cli.doctor.examination import examine
    from hoopx_cli.doctor.findings import Checked, State, code_of

    findings: list[Checked] = []
    for finding in examine(kit, kit.out.status):
        findings.append(finding)
        if kit.out.form is not Form.JSON and not (kit.out.is_quiet and finding.state in (State.OK, State.SKIP)):
            kit.out.status("")
            for line in _lines(kit, finding.state.value, finding.check, finding.found, finding.mend):
                kit.out.data(line)
    kit.out.status("")
    code = code_of(findings)
    if kit.out.form is Form.JSON:
        kit.out.json({"ok": not code, "code": code, "checks": findings})
        return code
    failed = sum(finding.state is State.FAIL for finding in findings)
    kit.out.say("commands work" if not code else f"{failed} to mend; commands leave with {code}")
    return code


def _lines(kit: Kit, state: str, check: str, found: str, mend: str) -> Iterator[str]:
    """What was found beside its name, and below it how to mend that."""
    room = kit.out.columns
    head = f"{state:<{_STATE}}{check:<{_CHECK}}"
    indent = " " * len(head)
    if room is not None and room < _NARROW:
        yield head.rstrip()
        head = indent = " " * 2
    for at, text in enumerate(filter(None, (found, f"-> {mend}" if mend else ""))):
        first = head if not at else indent
        whole = f"{first}{inert(text)}"
        if room is None or len(whole) <= room:
            yield whole
        else:
            width = max(room, MIN_COLUMNS)
            yield from textwrap.wrap(
                whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
            )

"""`hoopx audit verify` as people see it: how far it is on a terminal alone, and what is known of what is there."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from hoopx_broker.evidence.auditing import Audited
from hoopx_broker.evidence.examination import Counts
from hoopx_broker.evidence.findings import Finding
from hoopx_cli.audit_verify import _Progress, told
from hoopx_cli.kit import Kit
from hoopx_cli.output import Output
from tests.unit.test_cli_output import Terminal


@pytest.mark.parametrize(
    ("stream", "is_quiet", "is_seen"), [(Terminal, False, True), (Terminal, True, False), (io.StringIO, False, False)]
)
def test_progress_is_for_terminals_that_are_not_told_to_be_quiet(
    stream: type[io.StringIO], is_quiet: bool, is_seen: bool
) -> None:
    err = stream()
    out = Output(io.StringIO(), err, {})
    out.is_quiet, out.is_verbose = is_quiet, True
    progress = _Progress(cast("Kit", SimpleNamespace(out=out)))
    for number in range(50):
        progress.tell(f"recordings: {number} of 50, 1 of 2 MB")
    assert ("recordings: 0 of 50" in err.getvalue()) is is_seen
    assert err.getvalue().count("recordings") < 50, "not at each: a terminal is slow"


def test_each_kind_of_recording_is_told_with_what_proves_it() -> None:
    counts = Counts(proved=3, older=2, later=1, running=1, running_since=1_700_000_000.0, deleted=4, spooled=1)
    remark = Finding("elsewhere", "`s_1` is on the disk of another broker: audit it there", 2)
    audited = Audited("broker.test/hoopx/1", 9, "00", 7, quick=True, counts=counts, findings=(), remarks=(remark,))
    first, *lines = told(audited)
    assert first == "9 leaves of broker.test/hoopx/1 and 7 recordings: all in order"
    said = "\n".join(lines)
    for words in (
        "what lies between was not read",
        "3 proved by the log",
        "1 sealed after the checkpoint: proved by their seal only",
        "2 older than the log: proved by their seal only",
        "1 without a seal yet, the oldest since 2023-11-1",
        "4 deleted by `hoopx audit gc`, as the log says",
        "in the spool",
        "audit it there (and 2 more)",
    ):
        assert words in said, words
    faulty = replace(audited, findings=(Finding("tile", "gone"),))
    assert "all in order" not in "\n".join(told(faulty))

"""The page on leases: its configuration loads, and what it says of numbers is so."""

from __future__ import annotations

import re
from pathlib import Path

from hoopx_broker.credentials.keeper import ALARM_EVERY, DOUBT_SECONDS, FIRST_RETRY, LONGEST_RETRY
from hoopx_broker.daemon.config import load
from hoopx_broker.session.tenure import LOOK_SECONDS
from hoopx_broker.storage.hold import LOOK_SECONDS as STANDBY_SECONDS

PAGE = (Path(__file__).parents[2] / "docs/leases.md").read_text()


def test_the_sample_renews_leases_of_a_quarter_of_an_hour(tmp_path: Path) -> None:
    (sample,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "policies").mkdir()
    (tmp_path / "hoopx.yaml").write_text(sample)
    secrets = {"ANNS_PASSWORD": "one", "DB_ADMIN_PASSWORD": "two"}
    target = load(tmp_path / "hoopx.yaml", secrets).targets["prod-db"]
    assert (target.ttl, target.longest) == (15 * 60, 8 * 3600)


def test_the_numbers_hold() -> None:
    assert f"after {FIRST_RETRY:.0f} s, 2 s, 4 s and so on up to {LONGEST_RETRY / 60:.0f} minutes" in PAGE
    assert ALARM_EVERY == 5
    assert "at every fifth attempt" in PAGE
    assert DOUBT_SECONDS == 90
    assert LOOK_SECONDS == 30
    assert STANDBY_SECONDS == 0.25

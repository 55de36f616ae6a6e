"""The example of docs/stores.md is true: the configuration loads, and every key is told."""

from __future__ import annotations

import re
from pathlib import Path

from hoopx_broker.daemon.config import load
from hoopx_plugins.s3_place import S3Options

PAGE = (Path(__file__).parents[2] / "docs/stores.md").read_text(encoding="utf-8")
REST = """\
identity:
  - {issuer: https://login.example.com, client_id: hoopx-cli, audience: hoopx}
targets:
  prod-db:
    kind: postgres
    address: db.internal
    database: app
    tls: {mode: require}
    retention: pci
    credentials: {from: static, user: app, password: secret}
"""


def test_the_configuration_loads_and_every_key_of_the_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    example = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
    (tmp_path / "hoopx.yaml").write_text(REST + example)
    evidence = load(tmp_path / "hoopx.yaml", {}).evidence
    assert str(evidence.store) == "s3://acme-evidence/prod"
    assert (evidence.options.object_lock, evidence.options.part_bytes()) == ("compliance", 16 << 20)
    told = {name for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(S3Options.__struct_fields__) - {"aws"} <= told

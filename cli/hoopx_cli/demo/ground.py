"""What the demo stands on: one temporary directory with a database, a broker and its configuration."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from hoopx_broker.policy import shipped
from hoopx_broker.terms.secret import Secret
from hoopx_cli.demo import children, cluster
from hoopx_cli.demo.cluster import Cluster

READY = re.compile(r"hoopx broker ready on (https://\S+) \(certificate (sha256:[0-9a-f]+)\)")

CONFIGURATION = """\
listen: 127.0.0.1:0
state: sqlite:state.db
recordings: file:recordings
policies: {policies}
identity:
  - kind: embedded
    users:
      ann: {{password: file:ann-password, groups: [developers], email: ann@example.com}}
      dora: {{password: file:dora-password, groups: [dba], email: dora@example.com}}
    agents:
      claude: {{groups: [agents]}}
targets:
  prod-db:
    kind: postgres
    address: localhost:{port}
    database: {database}
    tls: {{mode: verify-full, ca: postgres-ca.pem}}
    labels: {{env: prod}}
    credentials: &minted
      from: postgres-role
      user: {admin}
      password: file:admin-password
      roles: [shop_read]
      ttl: 15m
    classify: &personal
      public.customers.email: email
      public.customers.ssn: national-id
      public.customers.born: birth-date
  payroll-db:
    kind: postgres
    address: localhost:{port}
    database: {database}
    tls: {{mode: verify-full, ca: postgres-ca.pem}}
    labels: {{env: prod, approval: required}}
    credentials: *minted
    classify: *personal
"""


class Ground(Struct, frozen=True):
    """A broker that is ready, and the database behind it."""

    home: Path
    cluster: Cluster
    url: str
    fingerprint: str
    passwords: dict[str, Secret]


@contextmanager
def laid() -> Iterator[Ground]:
    """Everything started; at the end everything stopped and removed."""
    with tempfile.TemporaryDirectory(prefix="hoopx-demo-") as directory, cluster.running(Path(directory)) as database:
        home = Path(directory)
        passwords = {name: Secret(secrets.token_urlsafe(9)) for name in ("ann", "dora")}
        _configure(home, database, passwords)
        log = home / "broker.log"
        command = (children.HOOPX, "broker", "run", "--config", home / "hoopx.yaml")
        broker = children.start(command, os.environ | {"HOOPX_HOME": str(home / "broker")}, log)
        try:
            ready = children.await_(lambda: READY.search(log.read_text(errors="replace")), "the broker", broker, log)
            yield Ground(home, database, ready.group(1), ready.group(2), passwords)
        finally:
            children.stop(broker)


def _configure(home: Path, database: Cluster, passwords: dict[str, Secret]) -> None:
    for name, password in [*passwords.items(), ("admin", database.admin_password)]:
        path = home / f"{name}-password"
        path.touch(mode=0o600)
        path.write_text(password.reveal())
    text = CONFIGURATION.format(
        policies=shipped.directory(), port=database.port, database=cluster.DATABASE, admin=cluster.ADMIN
    )
    (home / "hoopx.yaml").write_text(text)

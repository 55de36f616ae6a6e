"""`hoopx audit`: what happened, whether nothing of it is missing, and how long it is kept."""

from __future__ import annotations

from hoopx_cli.commands import group

app = group("Example: hoopx audit events --since 1h")
audit = group("Example: hoopx audit events --since 1h\n\nRead what happened at the broker, prove it, and keep it.")
app.add(audit, "audit")

# They register themselves with what stands above.
from hoopx_cli import audit_events as audit_events  # noqa: E402
from hoopx_cli import audit_keep as audit_keep  # noqa: E402
from hoopx_cli import audit_verify as audit_verify  # noqa: E402

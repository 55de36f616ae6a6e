"""`hoopx audit`: what happened, and whether nothing of it is missing."""

from __future__ import annotations

from hoopx_cli.commands import group

app = group("Example: hoopx audit events --since 1h")
audit = group("Example: hoopx audit events --since 1h\n\nRead what happened at the broker, and prove it.")
app.add_typer(audit, name="audit")

from hoopx_cli import audit_events as audit_events  # noqa: E402  # it registers itself with what stands above

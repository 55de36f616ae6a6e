"""`hoopx audit`: what happened, and whether nothing of it is missing."""

from __future__ import annotations

from hoopx_cli.commands import group

app = group("Example: hoopx audit verify --config hoopx.yaml")
audit = group("Example: hoopx audit verify --config hoopx.yaml\n\nRead what happened at the broker, and prove it.")
app.add_typer(audit, name="audit")

from hoopx_cli import audit_verify as audit_verify  # noqa: E402  # it registers itself with what stands above

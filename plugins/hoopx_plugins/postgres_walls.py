"""The second wall: a role that is to be read-only must be so by its privileges, not by a setting it could change."""

from __future__ import annotations

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins.postgres_admin import Connection

# The first privilege found by which the role could write. Views count: many can be written through. The schemas of the
# system are left out: PUBLIC's harmless privileges there (UPDATE on pg_settings) cannot be taken away.
_FINDINGS = """
WITH schemas AS MATERIALIZED (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND nspname !~ '^pg_(toast_)?temp_'
)
SELECT found FROM (
    SELECT 1, pg_catalog.format('it is a member of `%%s`', r.rolname)
    FROM pg_catalog.pg_roles AS r
    WHERE (r.rolsuper OR r.rolcreaterole OR r.rolname IN
           ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program'))
      AND pg_catalog.pg_has_role(%(role)s::name, r.oid, 'MEMBER')
    UNION ALL
    SELECT 2, pg_catalog.format('it may create objects in schema `%%s`', n.nspname)
    FROM schemas AS n
    WHERE pg_catalog.has_schema_privilege(%(role)s::name, n.oid, 'CREATE')
    UNION ALL
    SELECT 3, pg_catalog.format('it may write `%%s.%%s`', n.nspname, c.relname)
    FROM pg_catalog.pg_class AS c JOIN schemas AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f')
      AND (pg_catalog.has_table_privilege(%(role)s::name, c.oid, 'DELETE, TRUNCATE')
           OR pg_catalog.has_any_column_privilege(%(role)s::name, c.oid, 'INSERT, UPDATE'))
) AS findings (rank, found)
ORDER BY rank, found LIMIT 1
"""


async def check_read_only(connection: Connection, role: str, target: str) -> None:
    """Raises `BackendFailed` where `role` could write in this database; its transaction then undoes the role."""
    # Names in the query above mean the system's own, whatever stands in the administrator's search path.
    await connection.execute("SET LOCAL search_path = pg_catalog")
    found = await (await connection.execute(_FINDINGS, {"role": role})).fetchone()
    if found is not None:
        raise BackendFailed(
            f"the role for target `{target}` would not be read-only: {found[0]}",
            "take that privilege from `credentials.roles` (or from PUBLIC), or write `read_only: false`",
        )

"""The second wall: a role that is to be read-only must be so by its privileges, not by a setting it could change."""

from __future__ import annotations

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins.postgres_admin import Connection

# The first privilege found by which the role could write. Views count: many can be written through. The schemas of the
# system are left out: PUBLIC's harmless privileges there (UPDATE on pg_settings) cannot be taken away. The
# privileges of every group count, inherited or not: what is not inherited is one SET ROLE away.
_FINDINGS = """
WITH schemas AS MATERIALIZED (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND nspname !~ '^pg_(toast_)?temp_'
), groups AS MATERIALIZED (
    SELECT r.oid, r.rolname, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication AS is_mighty
    FROM pg_catalog.pg_roles AS r
    WHERE pg_catalog.pg_has_role(%(role)s::name, r.oid, 'MEMBER')
)
SELECT found FROM (
    SELECT 1, CASE WHEN rolname = %(role)s
                   THEN 'it is made with SUPERUSER, CREATEROLE, CREATEDB or REPLICATION'
                   ELSE pg_catalog.format('it is a member of `%%s`', rolname) END
    FROM groups
    WHERE is_mighty OR rolname IN
          ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program',
           'pg_create_subscription', 'pg_maintain')
    UNION ALL
    SELECT 2, 'it may create schemas in the database'
    FROM groups AS g
    WHERE pg_catalog.has_database_privilege(g.oid, pg_catalog.current_database(), 'CREATE')
    UNION ALL
    SELECT 2, pg_catalog.format('it may create objects in schema `%%s`', n.nspname)
    FROM groups AS g, schemas AS n
    WHERE pg_catalog.has_schema_privilege(g.oid, n.oid, 'CREATE')
    UNION ALL
    SELECT 3, pg_catalog.format('it may write `%%s.%%s`', n.nspname, c.relname)
    FROM groups AS g, pg_catalog.pg_class AS c JOIN schemas AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm')
      AND (pg_catalog.has_table_privilege(g.oid, c.oid, %(writing)s)
           OR c.relkind <> 'm' AND pg_catalog.has_any_column_privilege(g.oid, c.oid, 'INSERT, UPDATE')
           OR c.relowner = g.oid)
    UNION ALL
    SELECT 4, pg_catalog.format('it may move the sequence `%%s.%%s`', n.nspname, c.relname)
    FROM groups AS g, pg_catalog.pg_class AS c JOIN schemas AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND pg_catalog.has_sequence_privilege(g.oid, c.oid, 'USAGE, UPDATE')
    UNION ALL
    SELECT 5, pg_catalog.format('it may write the large object %%s', l.oid)
    FROM pg_catalog.pg_largeobject_metadata AS l
    WHERE l.lomowner IN (SELECT oid FROM groups)
       OR EXISTS (SELECT 1 FROM pg_catalog.aclexplode(l.lomacl) AS a WHERE a.privilege_type = 'UPDATE'
                  AND (a.grantee = 0 OR a.grantee IN (SELECT oid FROM groups)))
    UNION ALL
    SELECT 6, pg_catalog.format('it may call `%%s`, which runs with the rights of its owner', p.oid::regprocedure)
    FROM groups AS g, pg_catalog.pg_proc AS p JOIN schemas AS n ON n.oid = p.pronamespace
    WHERE %(strict)s AND p.prosecdef AND pg_catalog.has_schema_privilege(g.oid, n.oid, 'USAGE')
      AND pg_catalog.has_function_privilege(g.oid, p.oid, 'EXECUTE')
    UNION ALL
    SELECT 7, pg_catalog.format('it may call `%%s`, which makes or writes large objects', p.oid::regprocedure)
    FROM groups AS g, pg_catalog.pg_proc AS p
    WHERE %(strict)s AND p.pronamespace = 'pg_catalog'::regnamespace
      AND p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import')
      AND pg_catalog.has_function_privilege(g.oid, p.oid, 'EXECUTE')
    UNION ALL
    SELECT 8, 'it may make temporary tables'
    FROM groups AS g
    WHERE %(strict)s AND pg_catalog.has_database_privilege(g.oid, pg_catalog.current_database(), 'TEMPORARY')
) AS findings (rank, found)
ORDER BY rank, found LIMIT 1
"""


async def check_read_only(connection: Connection, role: str, target: str, *, strict: bool = False) -> None:
    """Raises `BackendFailed` where `role` could write in this database; its transaction then undoes the role.

    `strict` also looks at what a new database gives to everybody.
    """
    # Names in the query above mean the system's own, whatever stands in the administrator's search path.
    await connection.execute("SET LOCAL search_path = pg_catalog")
    writing = "DELETE, TRUNCATE, TRIGGER"
    if connection.info.server_version >= 170000:
        writing += ", MAINTAIN"
    values = {"role": role, "writing": writing, "strict": strict}
    found = await (await connection.execute(_FINDINGS, values)).fetchone()
    if found is not None:
        raise BackendFailed(
            f"the role for target `{target}` would not be read-only: {found[0]}",
            "take that privilege from `credentials.roles` (or from PUBLIC), or write `read_only: false`",
        )

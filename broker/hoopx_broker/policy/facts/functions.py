"""What is known of PostgreSQL's own functions: harmless ones, and those that reach outside of what a rule can see."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hoopx_broker.terms.facts import FunctionName

# What makes a call dangerous, by the start of its name. The words on the left are those of `context.dangerous`.
_DANGEROUS_PREFIXES = {
    "server-file": ("pg_read_", "pg_ls_", "pg_stat_file", "pg_file_", "lo_import", "lo_export", "pg_current_logfile"),
    "large-object": ("lo_", "loread", "lowrite"),
    "program": ("pg_execute_",),
    "other-server": ("dblink", "postgres_fdw", "pg_logical_slot_", "pg_replication_", "pg_sync_replication", "aws_"),
    "hidden-query": (
        "query_to_xml",
        "cursor_to_xml",
        "table_to_xml",
        "schema_to_xml",
        "database_to_xml",
        "ts_stat",
        "ts_rewrite",
        "crosstab",
        "connectby",
        "xpath_table",
    ),
    "statistics": ("pg_mcv_list_items", "pg_clear_", "pg_restore_"),
    "raw-storage": ("get_raw_page", "heap_page_", "bt_page_", "page_header", "tuple_data_split", "pg_get_wal_"),
    "server-control": (
        "pg_terminate_backend",
        "pg_cancel_backend",
        "pg_reload_conf",
        "pg_rotate_logfile",
        "pg_promote",
        "pg_switch_wal",
        "pg_create_",
        "pg_drop_",
        "pg_copy_",
        "pg_backup_",
        "pg_wal_replay_",
        "pg_stat_reset",
        "pg_import_system_collations",
        "pg_logical_emit_message",
        "pg_log_",
        "pg_nextoid",
        "binary_upgrade_",
        "brin_summarize",
        "brin_desummarize",
        "gin_clean_pending",
    ),
}

# Functions of one argument that a dot can call as well: `('/etc/passwd'::text).pg_read_file`. A closed list, because
# what stands after a dot is nearly always a column, and columns may begin like any of the names above.
_CALLED_BY_DOT = frozenset(
    [
        "brin_summarize_new_values",
        "dblink",
        "dblink_build_sql_insert",
        "dblink_connect",
        "dblink_disconnect",
        "dblink_exec",
        "gin_clean_pending_list",
        "lo_close",
        "lo_creat",
        "lo_create",
        "lo_get",
        "lo_import",
        "lo_tell",
        "lo_tell64",
        "lo_unlink",
        "nextval",
        "pg_backup_start",
        "pg_backup_stop",
        "pg_cancel_backend",
        "pg_create_physical_replication_slot",
        "pg_create_restore_point",
        "pg_current_logfile",
        "pg_drop_replication_slot",
        "pg_file_sync",
        "pg_file_unlink",
        "pg_import_system_collations",
        "pg_log_backend_memory_contexts",
        "pg_log_standby_snapshot",
        "pg_ls_dir",
        "pg_ls_replslotdir",
        "pg_ls_tmpdir",
        "pg_mcv_list_items",
        "pg_promote",
        "pg_read_binary_file",
        "pg_read_file",
        "pg_replication_origin_create",
        "pg_replication_origin_drop",
        "pg_replication_origin_oid",
        "pg_replication_origin_session_progress",
        "pg_replication_origin_session_setup",
        "pg_restore_attribute_stats",
        "pg_restore_relation_stats",
        "pg_start_backup",
        "pg_stat_file",
        "pg_stat_get_backend_activity",
        "pg_stat_reset_backend_stats",
        "pg_stat_reset_replication_slot",
        "pg_stat_reset_shared",
        "pg_stat_reset_single_function_counters",
        "pg_stat_reset_single_table_counters",
        "pg_stat_reset_slru",
        "pg_stat_reset_subscription_stats",
        "pg_stop_backup",
        "pg_terminate_backend",
        "ts_stat",
    ]
)

# The server's functions of one argument that take a row, which a dot can call as well: `c.row_to_json` shows it all.
_TAKE_ROWS = frozenset(
    [
        "any_out",
        "any_value",
        "anycompatible_out",
        "anycompatiblenonarray_out",
        "anyelement_out",
        "anynonarray_out",
        "array_agg",
        "concat",
        "count",
        "first_value",
        "hash_record",
        "json_agg",
        "json_agg_strict",
        "json_build_array",
        "json_build_object",
        "jsonb_agg",
        "jsonb_agg_strict",
        "jsonb_build_array",
        "jsonb_build_object",
        "lag",
        "last_value",
        "lead",
        "max",
        "min",
        "mode",
        "num_nonnulls",
        "num_nulls",
        "pg_collation_for",
        "pg_column_compression",
        "pg_column_size",
        "pg_restore_attribute_stats",
        "pg_restore_relation_stats",
        "pg_typeof",
        "quote_literal",
        "quote_nullable",
        "record_out",
        "record_send",
        "row_to_json",
        "to_json",
        "to_jsonb",
    ]
)

# Relations of the catalog that show more than structure, whatever the rights on the tables they are about.
_DANGEROUS_RELATIONS = {
    "pg_statistic": "statistics",
    "pg_stats": "statistics",
    "pg_stats_ext": "statistics",
    "pg_stats_ext_exprs": "statistics",
    "pg_statistic_ext_data": "statistics",
    "pg_authid": "credentials",
    "pg_shadow": "credentials",
    "pg_user_mapping": "credentials",
    "pg_largeobject": "large-object",
    "pg_file_settings": "server-file",
    "pg_hba_file_rules": "server-file",
    "pg_ident_file_mappings": "server-file",
}

# Columns of the catalog with passwords in them, of relations that everybody may look at otherwise.
SECRET_COLUMNS = {"pg_subscription": "subconninfo", "pg_user_mappings": "umoptions"}


@cache
def _harmless() -> frozenset[str]:
    """Names in `pg_catalog` of PostgreSQL 15 and 17 whose every overload is immutable or stable and reads no table.

    Support functions, triggers and type input and output are left out, and so is all that `danger` names. The second
    file holds by choice what is volatile, or younger than those catalogs, and still does no harm: clocks, chance,
    sizes, locks that end with the session, what psql and drivers ask at the start.
    """
    here = Path(__file__).parent
    return frozenset(
        name for file in ("harmless.txt", "harmless_volatile.txt") for name in (here / file).read_text("ascii").split()
    )


def is_harmless(function: FunctionName) -> bool:
    """A function of PostgreSQL itself that only computes. A function of the same name elsewhere is not it."""
    if function.schema == "information_schema":  # JDBC asks for keys by `_pg_expandarray`
        return function.name.startswith("_pg_")
    return function.schema in (None, "pg_catalog") and function.name in _harmless()


def danger(name: str) -> str | None:
    """What a call of `name`, in whatever schema, can reach; None where nothing is known against it."""
    for reach, prefixes in _DANGEROUS_PREFIXES.items():
        if name.startswith(prefixes):
            return reach
    return None


def is_called_by_dot(name: str) -> bool:
    return name in _CALLED_BY_DOT or name.startswith("binary_upgrade_")


def takes_rows(name: str) -> bool:
    return name in _TAKE_ROWS


def relation_danger(schema: str | None, name: str) -> str | None:
    """What reading a relation of the catalog can reveal beside structure."""
    return _DANGEROUS_RELATIONS.get(name) if schema in (None, "pg_catalog") else None

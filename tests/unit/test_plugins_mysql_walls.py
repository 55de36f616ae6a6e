"""What SHOW GRANTS tells of an account is understood, or the account is not given."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hoopx_broker.terms.errors import BackendFailed
from hoopx_plugins import mysql_walls


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("GRANT SELECT, SHOW VIEW ON `app`.* TO `u`@`%`", None),
        ("GRANT SELECT (`id`, `a ON b TO c`) ON `app`.`GRANT OPTION` TO `u`@`%`", None),
        ("GRANT `app_read`@`%`,`other`@`%` TO `u`@`%`", None),
        ("GRANT USAGE ON *.* TO `u`@`%` WITH GRANT OPTION", "USAGE"),
        ("GRANT `app_read`@`%` TO `u`@`%` WITH ADMIN OPTION", "ROLE ADMIN"),
        ("GRANT BACKUP_ADMIN,XA_RECOVER_ADMIN ON *.* TO `u`@`%`", "BACKUP_ADMIN"),
        ("GRANT SELECT, LOCK TABLES ON `app`.* TO `u`@`%`", "LOCK TABLES"),
        ("GRANT PROXY ON ``@`` TO `u`@`%`", "PROXY"),
        ("GRANT EXECUTE ON PROCEDURE `app`.`pay` TO `u`@`%`", "EXECUTE"),
        ("GRANT select ON `app`.* TO `u`@`%`", "not understood"),
        ("ALLOW SELECT ON `app`.* TO `u`@`%`", "not understood"),
    ],
)
def test_the_lines_of_mysql_8_are_read_or_refused(line: str, told: str | None) -> None:
    """As its manual shows them; no such server is here. A double answers nothing for roles."""

    class Double:
        is_mariadb = False

        def rows(self, query: str) -> list[tuple[str]]:
            return [(line,)] if query.endswith("'u'@'%'") else []

    refused = ""
    try:
        mysql_walls.check_read_only(cast(Any, Double()), "'u'@'%'", "db")
    except BackendFailed as failed:
        refused = failed.message
    assert (told or "") in refused
    assert bool(told) == bool(refused)

"""What Vault's tokens, policies, KV engine, namespaces, seal and audit promise: held against a real one and the double.

Sources: the pages `auth/token`, `secret/kv/kv-v2`, `system/*` and `concepts/policies` of Vault's documentation.
"""

from __future__ import annotations

from tests.peers.processes import eventually
from tests.peers.vault.answers import Json
from tests.peers.vault.peer import Vault

DENIED = "permission denied"


def holder(vault: Vault, policy: str, **more: object) -> Json:
    """A token with that policy text alone, and `default`."""
    return vault.token(vault.policy(vault.fresh("policy"), policy), ttl="5m", **more)


def test_what_is_not_there_is_told_apart_from_what_is_not_allowed(each_vault: Vault) -> None:
    missing, unmounted = each_vault.ask("GET", "secret/data/none"), each_vault.ask("GET", "nowhere/x")
    assert (missing.status, missing.body) == (404, {"errors": []})
    assert unmounted.status == 404
    assert unmounted.errors == ['no handler for route "nowhere/x". route entry not found.']
    for token in ("s.no-such-token", None):
        refused = each_vault.ask("GET", "secret/data/none", token=token)
        assert (refused.status, refused.errors) == (403, [DENIED])
    poor = holder(each_vault, 'path "nothing" { capabilities = ["read"] }')["client_token"]
    for path in ("secret/data/none", "nowhere/x"):
        refused = each_vault.ask("GET", path, token=poor)
        assert refused.status == 403
        assert DENIED in refused.errors[0]


def test_an_unsupported_path_or_operation_is_told(each_vault: Vault) -> None:
    place = each_vault.enable_login(each_vault.fresh("jwt"), "jwt")
    assert "unsupported path" in each_vault.ask("POST", f"auth/{place}/nope", {}).errors[0]
    refused = each_vault.ask("GET", f"auth/{place}/login", token=None)
    assert (refused.status, refused.errors) == (405, ["unsupported operation"])


def test_a_mount_that_is_taken_or_of_no_known_type_is_refused(each_vault: Vault) -> None:
    place = each_vault.enable(each_vault.fresh("db"), "database")
    again = each_vault.ask("POST", f"sys/mounts/{place}", {"type": "database"})
    assert (again.status, again.errors) == (400, [f"path is already in use at {place}/"])
    odd = each_vault.ask("POST", f"sys/mounts/{each_vault.fresh('x')}", {"type": "nothing"})
    assert (odd.status, odd.errors) == (400, ["plugin not found in the catalog: nothing"])
    assert each_vault.read("sys/mounts")["data"][f"{place}/"]["type"] == "database"
    each_vault.delete(f"sys/mounts/{place}")
    assert f"{place}/" not in each_vault.read("sys/mounts")["data"]


def test_a_token_tells_who_it_is_and_how_long(each_vault: Vault) -> None:
    auth = each_vault.token("default", ttl="1h", display_name="ann", meta={"user": "ann"})
    assert (auth["lease_duration"], auth["renewable"], auth["policies"]) == (3600, True, ["default"])
    own = each_vault.read("auth/token/lookup-self", token=auth["client_token"])["data"]
    assert (own["display_name"], own["meta"], own["accessor"]) == ("token-ann", {"user": "ann"}, auth["accessor"])
    assert (own["creation_ttl"], own["orphan"], own["num_uses"]) == (3600, False, 0)
    looked = each_vault.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]})["data"]
    assert looked["id"] == ""  # an accessor never leads to the token
    assert looked["display_name"] == "token-ann"


def test_ending_a_token_ends_its_children_but_no_orphan(each_vault: Vault) -> None:
    policy = 'path "auth/token/create*" { capabilities = ["update", "sudo"] }'
    parent = holder(each_vault, policy)
    child = each_vault.write("auth/token/create", {}, token=parent["client_token"])["auth"]
    orphan = each_vault.write("auth/token/create-orphan", {}, token=parent["client_token"])["auth"]
    assert orphan["orphan"] is True
    assert each_vault.ask("POST", "auth/token/revoke-accessor", {"accessor": parent["accessor"]}).status == 204
    alive = [each_vault.ask("GET", "auth/token/lookup-self", token=a["client_token"]).status for a in (parent, child)]
    assert alive == [403, 403]
    assert each_vault.ask("GET", "auth/token/lookup-self", token=orphan["client_token"]).status == 200


def test_revoking_an_accessor_again_warns_and_is_no_error(each_vault: Vault) -> None:
    auth = each_vault.token("default", ttl="5m")
    assert each_vault.ask("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]}).status == 204
    again = each_vault.ask("POST", "auth/token/revoke-accessor", {"accessor": auth["accessor"]})
    assert (again.status, again.body["warnings"]) == (200, ["No token found with this accessor"])
    assert each_vault.ask("POST", "auth/token/revoke-accessor", {}).status == 400
    lost = each_vault.ask("POST", "auth/token/lookup-accessor", {"accessor": auth["accessor"]})
    assert lost.status in (400, 403, 404)  # 400 with OpenBao, 403 with Vault, 404 with older ones
    assert "invalid accessor" in lost.errors[0]


def test_a_token_can_end_itself(each_vault: Vault) -> None:
    token = each_vault.token("default", ttl="5m")["client_token"]
    assert each_vault.ask("POST", "auth/token/revoke-self", token=token).status == 204
    assert each_vault.ask("POST", "auth/token/revoke-self", token=token).status == 403


def test_renewing_a_token_is_capped_by_its_own_most(each_vault: Vault) -> None:
    auth = each_vault.token("default", ttl="1h", explicit_max_ttl="90s")
    assert auth["lease_duration"] == 90
    renewed = each_vault.write("auth/token/renew-self", {"increment": "1h"}, token=auth["client_token"])
    assert 88 <= renewed["auth"]["lease_duration"] <= 90
    assert renewed["warnings"] == [
        'TTL of "1h" exceeded the effective max_ttl of "1m30s"; TTL value is capped accordingly'
    ]
    fixed = each_vault.token("default", ttl="1h", renewable=False)["client_token"]
    refused = each_vault.ask("POST", "auth/token/renew-self", {}, token=fixed)
    assert (refused.status, refused.errors) == (400, ["lease is not renewable"])


def test_a_token_of_few_uses_and_one_of_little_time_end(each_vault: Vault) -> None:
    brief = each_vault.token("default", ttl="1s")["client_token"]
    twice = each_vault.token("default", num_uses=2)["client_token"]
    seen = [each_vault.ask("GET", "auth/token/lookup-self", token=twice).status for _ in range(3)]
    assert seen == [200, 200, 403]
    ended = lambda: each_vault.ask("GET", "auth/token/lookup-self", token=brief).status == 403  # noqa: E731
    eventually(ended, "the token of a second ends", 10)


def test_a_child_has_no_policy_that_its_parent_has_not(each_vault: Vault) -> None:
    parent = holder(each_vault, 'path "auth/token/create" { capabilities = ["update"] }')["client_token"]
    refused = each_vault.ask("POST", "auth/token/create", {"policies": ["other"]}, token=parent)
    assert (refused.status, refused.errors) == (400, ["child policies must be subset of parent"])
    child = each_vault.write("auth/token/create", {"ttl": "1m", "num_uses": 3}, token=parent)["auth"]
    assert (child["lease_duration"], child["num_uses"]) == (60, 3)
    assert each_vault.ask("POST", "auth/token/create-orphan", {}, token=parent).status == 403  # needs sudo


def test_policies_allow_by_the_most_specific_pattern(each_vault: Vault) -> None:
    top = each_vault.fresh("team")
    each_vault.write(f"secret/data/{top}/a", {"data": {"k": "v"}})
    each_vault.write(f"secret/data/{top}/no", {"data": {"k": "v"}})
    each_vault.write(f"secret/data/{top}/x/deep", {"data": {"k": "v"}})
    token = holder(
        each_vault,
        f"""
        # comments are read over
        path "secret/data/{top}/*" {{ capabilities = ["create", "read"] }}
        path "secret/data/{top}/no" {{ capabilities = ["deny"] }}
        path "secret/+/{top}/x/*" {{ capabilities = ["list"] }}
        """,
    )["client_token"]
    new = {"data": {"k": "w"}}
    assert each_vault.ask("GET", f"secret/data/{top}/a", token=token).status == 200
    assert each_vault.ask("GET", f"secret/data/{top}/no", token=token).status == 403
    assert each_vault.ask("POST", f"secret/data/{top}/b", new, token=token).status == 200
    assert each_vault.ask("POST", f"secret/data/{top}/b", new, token=token).status == 403  # update is not create
    assert each_vault.ask("GET", f"secret/data/{top}/x/deep", token=token).status == 200  # the later wildcard wins
    assert each_vault.ask("LIST", f"secret/metadata/{top}/x", token=token).data["keys"] == ["deep"]  # a list ends in /
    assert each_vault.ask("LIST", f"secret/metadata/{top}", token=token).status == 403
    json_form = f'{{"path": {{"secret/data/{top}/a": {{"capabilities": ["read"]}}}}}}'
    other = holder(each_vault, json_form)["client_token"]
    assert each_vault.ask("GET", f"secret/data/{top}/a", token=other).status == 200


def test_a_policy_that_cannot_be_read_is_refused(each_vault: Vault) -> None:
    wrong = each_vault.ask("POST", "sys/policies/acl/bad", {"policy": 'path "x" { capabilities = ["reed"] }'})
    assert (wrong.status, 'invalid capability "reed"' in wrong.errors[0]) == (400, True)
    assert each_vault.ask("POST", "sys/policies/acl/bad", {"policy": 'path "x { '}).status == 400
    assert each_vault.ask("POST", "sys/policies/acl/bad", {}).status == 400
    assert each_vault.ask("GET", "sys/policies/acl/bad").body == {"errors": []}


def test_kv_keeps_versions_and_forgets_them_when_told(each_vault: Vault) -> None:
    path = each_vault.fresh("kv")
    assert each_vault.write(f"secret/data/{path}", {"data": {"password": "one"}})["data"]["version"] == 1
    each_vault.write(f"secret/data/{path}", {"data": {"password": "two"}})
    newest = each_vault.read(f"secret/data/{path}")["data"]
    assert (newest["data"], newest["metadata"]["version"]) == ({"password": "two"}, 2)
    assert each_vault.read(f"secret/data/{path}?version=1")["data"]["data"] == {"password": "one"}
    each_vault.delete(f"secret/data/{path}")
    gone = each_vault.ask("GET", f"secret/data/{path}")
    assert (gone.status, gone.data["data"]) == (404, None)  # told by 404, with the metadata in the answer
    assert gone.data["metadata"]["deletion_time"]
    each_vault.write(f"secret/undelete/{path}", {"versions": [2]})
    assert each_vault.ask("GET", f"secret/data/{path}").status == 200
    each_vault.write(f"secret/destroy/{path}", {"versions": [2]})
    each_vault.write(f"secret/undelete/{path}", {"versions": [2]})
    assert each_vault.ask("GET", f"secret/data/{path}").data["metadata"]["destroyed"] is True
    assert sorted(each_vault.read(f"secret/metadata/{path}")["data"]["versions"]) == ["1", "2"]
    each_vault.delete(f"secret/metadata/{path}")
    assert each_vault.ask("GET", f"secret/data/{path}").body == {"errors": []}


def test_kv_misused_says_how(each_vault: Vault) -> None:
    path = each_vault.fresh("kv")
    each_vault.write(f"secret/data/{path}", {"data": {"k": 1}})
    stale = each_vault.ask("POST", f"secret/data/{path}", {"data": {"k": 2}, "options": {"cas": 0}})
    assert stale.errors == ["check-and-set parameter did not match the current version"]
    assert each_vault.ask("POST", f"secret/data/{path}", {"k": 2}).errors == ["no data provided"]
    unversioned = each_vault.ask("GET", f"secret/{path}")
    assert unversioned.status == 404
    assert "Invalid path for a versioned K/V secrets engine" in unversioned.body["warnings"][0]


def test_a_namespace_is_a_world_of_its_own(each_vault: Vault) -> None:
    name = each_vault.fresh("team")
    each_vault.write(f"sys/namespaces/{name}")
    each_vault.enable("kv", "kv", namespace=name, options={"version": "2"})
    each_vault.write("kv/data/a", {"data": {"a": 1}}, namespace=name)
    assert each_vault.read("kv/data/a", namespace=f"{name}/")["data"]["data"] == {"a": 1}
    assert each_vault.ask("GET", f"{name}/kv/data/a").status == 200
    assert each_vault.ask("GET", "kv/data/a").status == 404
    each_vault.policy("reads", 'path "kv/*" { capabilities = ["read"] }', namespace=name)
    inner = each_vault.write("auth/token/create", {"policies": ["reads"]}, namespace=name)["auth"]["client_token"]
    assert each_vault.ask("GET", "kv/data/a", token=inner, namespace=name).status == 200
    assert each_vault.ask("GET", "secret/data/a", token=inner).status == 403
    unknown = each_vault.ask("GET", "kv/data/a", namespace="no-such-namespace")
    assert unknown.status in (403, 404)
    assert each_vault.ask("GET", "sys/health", token=None, namespace=name).status == 400


def test_a_sealed_vault_answers_503_to_everything_but_its_health(each_vault: Vault) -> None:
    assert each_vault.ask("GET", "sys/health", token=None).body["sealed"] is False
    each_vault.seal()
    try:
        for path in ("secret/data/a", "sys/mounts", "auth/token/lookup-self"):
            assert (each_vault.ask("GET", path).status, each_vault.ask("GET", path).errors) == (
                503,
                ["Vault is sealed"],
            )
        login = each_vault.ask("POST", "auth/approle/login", {"role_id": "x"}, token=None)
        assert login.status == 503
        assert each_vault.ask("GET", "sys/health", token=None).status == 503
        assert each_vault.ask("GET", "sys/seal-status", token=None).body["sealed"] is True
        assert each_vault.ask("PUT", "sys/unseal", {"key": "bad"}, token=None).status == 400
    finally:
        each_vault.unseal()
    eventually(lambda: each_vault.ask("GET", "sys/health", token=None).status == 200, "it is unsealed", 10)


def test_the_audit_names_who_asked_and_never_the_secret(each_vault: Vault) -> None:
    path = each_vault.fresh("audited")
    each_vault.write(f"secret/data/{path}", {"data": {"password": "correct horse"}})
    auth = holder(each_vault, f'path "secret/data/{path}" {{ capabilities = ["read"] }}', display_name="ann")
    each_vault.read(f"secret/data/{path}", token=auth["client_token"])
    seen = [line for line in each_vault.audit() if line["request"].get("path") == f"secret/data/{path}"]
    last = seen[-1]
    assert (last["type"], last["auth"]["display_name"], last["request"]["operation"]) == (
        "response",
        "token-ann",
        "read",
    )
    assert "correct horse" not in str(seen)
    assert auth["client_token"] not in str(seen)
    assert "hmac-sha256:" in str(last["response"]["data"])

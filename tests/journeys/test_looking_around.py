"""What a person sees before opening anything: who they are, what there is, what they may do."""

from __future__ import annotations

import json

from tests.journeys.stage import Stage


def test_the_list_tells_what_is_open_and_what_needs_approval(stage: Stage) -> None:
    access = {target["name"]: target["access"] for target in stage.listed("ls")}
    assert access["shop-prod"] == "allowed"
    assert access["payments-prod"] == "approval"


def test_somebody_without_rights_sees_no_target_as_allowed(stage: Stage) -> None:
    assert not [target for target in stage.listed("ls", who="nobody") if target["access"] != "denied"]


def test_a_target_is_shown_with_what_will_be_hidden(stage: Stage) -> None:
    [shown] = stage.listed("show", "shop-prod")
    assert "public.customers.ssn" in json.dumps(shown["masked"])
    [raw] = stage.listed("show", "shop-prod", who="dora")
    assert "public.customers.ssn" not in json.dumps(raw["masked"])


def test_one_learns_who_one_is(stage: Stage) -> None:
    [me] = stage.listed("whoami")
    assert (me["user"], me["groups"]) == ("ann", ["developers"])


def test_no_listing_and_no_file_of_the_laptop_holds_a_secret_of_the_target(stage: Stage) -> None:
    seen = stage.hoopx("show", "shop-fixed", "-o", "json").fine().out
    assert stage.postgres.superuser_password not in seen
    for path in (stage.home / "home-ann").rglob("*"):
        if path.is_file():
            assert stage.postgres.superuser_password.encode() not in path.read_bytes()
            assert stage.postgres.admin_password.encode() not in path.read_bytes()


def test_a_misspelt_target_is_mended_only_for_whom_may_know_of_the_right_one(stage: Stage) -> None:
    assert "shop-prod" in stage.hoopx("show", "shop-prd").err
    assert "shop-prod" not in stage.hoopx("show", "shop-prd", who="nobody").err

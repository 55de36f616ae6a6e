"""What a native client says of itself: who, where, what for; and what of it reaches the server."""

from __future__ import annotations

import pytest

from hoopx_broker.wire.postgres.frames import STARTUP, Frame
from hoopx_broker.wire.postgres.hello import Unwelcome, welcome
from hoopx_broker.wire.postgres.introduction import Introduction, introduce
from hoopx_broker.wire.postgres.messages import Startup, parse_startup

V3_0, V3_2 = 196_608, 196_610


def introduced(code: int = V3_0, /, **parameters: str) -> Introduction:
    return introduce(Startup(code, {"user": "ann", "database": "prod-db", **parameters}))


def passed_on(guest: Introduction) -> Startup:
    return parse_startup(Frame(STARTUP, guest.startup))


def refused(code: str, **parameters: str) -> str:
    with pytest.raises(Unwelcome) as refusal:
        introduced(**parameters)
    assert refusal.value.code == code
    return refusal.value.message


def test_user_and_database_are_the_person_and_the_target() -> None:
    guest = introduced()
    assert (guest.user, guest.target, guest.reason, guest.ticket) == ("ann", "prod-db", "", "")


def test_without_a_database_it_is_called_as_the_user_like_everywhere() -> None:
    assert introduced(database="").target == "ann"


def test_without_a_user_nobody_is_let_in() -> None:
    refused("28000", user="")


@pytest.mark.parametrize(
    "said",
    [
        {"options": "-c hoopx.reason=look\\ at\\ it -c hoopx.ticket=T-1 -c search_path=app"},
        {"hoopx.reason": "look at it", "hoopx.ticket": "T-1", "search_path": "app"},
        {"HOOPX.Reason": "look at it", "options": "--hoopx.ticket=T-1 -csearch_path=app"},
    ],
)
def test_reason_and_ticket_are_for_hoopx_and_the_rest_for_the_server(said: dict[str, str]) -> None:
    guest = introduced(**said)
    assert (guest.reason, guest.ticket) == ("look at it", "T-1")
    assert passed_on(guest).parameters == {"search_path": "app", "user": "ann", "database": "prod-db"}


@pytest.mark.parametrize(
    "said",
    [
        {"hoopx.request": "r_1"},
        {"options": "-c hoopx.reson=typo"},
        {"hoopx.reason": "one", "HOOPX.reason": "another"},
    ],
)
def test_what_hoopx_does_not_take_is_refused_and_never_passed_on(said: dict[str, str]) -> None:
    refused("42704", **said)


def test_a_setting_that_only_looks_like_it_goes_on_to_the_judge() -> None:
    assert passed_on(introduced(**{"hoopxy.z": "1"})).parameters["hoopxy.z"] == "1"


def test_replication_is_refused_before_anything_is_opened() -> None:
    assert "replication" in refused("42501", replication="database")


@pytest.mark.parametrize("options", ["-d 5", "-c user=postgres", "-crole"])
def test_options_that_are_no_settings_are_refused(options: str) -> None:
    with pytest.raises(Unwelcome):
        introduced(options=options)


def test_an_encoding_that_hides_ascii_is_refused() -> None:
    refused("0A000", client_encoding="SJIS")


def test_the_version_is_settled_at_the_door_and_options_of_the_protocol_end_there() -> None:
    assert introduced(V3_2).answer == b""
    guest = introduced(V3_2 + 9, **{"_pq_.x": "1"})
    assert guest.answer.startswith(b"v")
    assert passed_on(guest) == Startup(V3_2, {"user": "ann", "database": "prod-db"})


@pytest.mark.parametrize("name", ["hoopx.reason", "Hoopx.x"])
def test_in_a_session_that_has_begun_there_is_nothing_to_say_to_hoopx(name: str) -> None:
    with pytest.raises(Unwelcome):
        welcome(Startup(V3_0, {"user": "ann", "options": f"-c {name}=x"}), "app", "prod-db")

"""The stored forms of passwords are those that the servers make themselves: published pairs, and their like."""

from __future__ import annotations

from hoopx_plugins.mysql_hashes import caching_sha2, native, sha256_crypt


def test_the_native_form_is_what_the_manual_shows() -> None:
    assert native("password") == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_sha_crypt_gives_the_vectors_of_its_specification() -> None:
    assert sha256_crypt(b"Hello world!", b"saltstring") == b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


def test_the_form_of_mysql_8_is_the_one_that_a_cracker_takes_for_its_sample() -> None:
    salt = bytes.fromhex("F9CC98CE08892924F50A213B6BC571A2C11778C5")
    digest = "625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F"
    assert caching_sha2("hashcat", salt) == b"$A$005$" + salt + bytes.fromhex(digest)


def test_each_has_a_salt_of_its_own() -> None:
    assert caching_sha2("same") != caching_sha2("same")
    assert len(caching_sha2("same")) == 70

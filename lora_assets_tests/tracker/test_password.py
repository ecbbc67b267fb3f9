"""The stored password."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from lora_assets.tracker.password import (
    PasswordError,
    generate_password,
    password_path,
    read_password_hash,
    set_password,
)

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_the_file_holds_a_hash_and_is_readable_by_its_owner_alone(tmp_path: Path):
    assert read_password_hash(tmp_path) is None
    umask = os.umask(0)
    try:
        path = set_password(tmp_path, "a long password", CHEAP)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "a long password" not in path.read_text()
    stored = read_password_hash(tmp_path)
    assert stored is not None
    assert CHEAP.verify(stored, "a long password")


def test_short_passwords_are_refused(tmp_path: Path):
    with pytest.raises(PasswordError, match="12"):
        set_password(tmp_path, "eleven char", CHEAP)
    assert not password_path(tmp_path).exists()


@pytest.mark.parametrize("password", ["aaaaaaaaaaaaaaaa", "123412341234", "abababababab"])
def test_passwords_of_few_characters_are_refused(tmp_path: Path, password: str):
    with pytest.raises(PasswordError, match=r"different characters.*--generate"):
        set_password(tmp_path, password, CHEAP)


@pytest.mark.parametrize("content", [b"argon2 = ", b"argon2 = ''", b"other = 'x'", b"\xff\xfe", b"argon2 = 5"])
def test_a_damaged_file_names_the_way_out(tmp_path: Path, content: bytes):
    password_path(tmp_path).write_bytes(content)
    with pytest.raises(PasswordError, match="lora-assets password"):
        read_password_hash(tmp_path)


def test_generated_passwords_are_long_and_differ():
    made = {generate_password() for _ in range(20)}
    assert len(made) == 20
    assert min(map(len, made)) >= 20

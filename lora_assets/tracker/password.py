"""The one password of the web pages, kept as an argon2 hash in `data/password.toml`, readable by its owner alone.

Who is asked for it, and when, is not here (guard).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import BinaryIO

import tomlkit
from argon2 import PasswordHasher
from tomlkit.exceptions import TOMLKitError

from lora_assets.store import atomic_write

LEAST_LENGTH = 12
LEAST_DIFFERENT = 5


class PasswordError(ValueError):
    """The password cannot be taken or read; the text says why and the way out."""


def generate_password() -> str:
    """A random password of 128 bits."""
    return secrets.token_urlsafe(16)


def password_path(data: Path) -> Path:
    """Where the hash lies."""
    return data / "password.toml"


def set_password(data: Path, password: str, hasher: PasswordHasher | None = None) -> Path:
    """Store the argon2 hash of `password` in a file of mode 0600. Raises PasswordError for a weak one."""
    if len(password) < LEAST_LENGTH:
        raise PasswordError(f"the password has {len(password)} characters: take at least {LEAST_LENGTH}")
    if len(set(password)) < LEAST_DIFFERENT:
        raise PasswordError(
            f"the password has only {len(set(password))} different characters: take at least {LEAST_DIFFERENT}, or let "
            "lora-assets password --generate make one"
        )
    document = tomlkit.document()
    document.add("argon2", tomlkit.item((hasher or PasswordHasher()).hash(password)))
    content = tomlkit.dumps(document).encode()

    def write(handle: BinaryIO) -> None:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(content)

    path = password_path(data)
    atomic_write(path, write)
    return path


def read_password_hash(data: Path) -> str | None:
    """The stored hash, or None when no password is set. Raises PasswordError for a file that cannot be read."""
    path = password_path(data)
    try:
        told = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise PasswordError(f"{path} cannot be read ({error}): set it again with `lora-assets password`") from error
    stored = told.get("argon2")
    if not isinstance(stored, str) or not stored:
        raise PasswordError(f"{path} holds no password: set it again with `lora-assets password`")
    return stored

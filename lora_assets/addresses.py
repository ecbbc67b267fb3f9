"""Where the two servers listen: one place for ports and addresses."""

from __future__ import annotations

import os

LOOPBACK = "127.0.0.1"
PAGES_PORT = 8088
DAGSTER_PORT = 3000


def pages_url() -> str:
    """Address of the tracker pages as a browser reaches them; LORA_ASSETS_PAGES_URL overrides (behind a proxy)."""
    return os.environ.get("LORA_ASSETS_PAGES_URL", f"http://{LOOPBACK}:{PAGES_PORT}").rstrip("/")


def dagster_url() -> str:
    """Address of the Dagster UI as a browser reaches it; LORA_ASSETS_DAGSTER_URL overrides."""
    return os.environ.get("LORA_ASSETS_DAGSTER_URL", f"http://{LOOPBACK}:{DAGSTER_PORT}").rstrip("/")

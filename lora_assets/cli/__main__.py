"""`python -m lora_assets.cli` is `lora-assets`."""

from lora_assets.cli import main

main()

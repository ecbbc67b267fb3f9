"""What Pillow raises for a picture that it cannot read, so that all who read our own pictures leave out the same ones.

Pictures that people bring are read by `images`, which tells why it refuses one.
"""

from __future__ import annotations

from PIL import Image

UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

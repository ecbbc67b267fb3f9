"""Which fonts plots and pictures are written in, so that English, Japanese and Traditional Chinese words render.

Fonts are looked for by name among those of the machine. What is drawn with them does not belong here.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

LANGUAGES = ("en", "ja", "zh-TW")
_LATIN = "DejaVu Sans"
_JAPANESE = (_LATIN, "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei")
FAMILIES = {
    "en": _JAPANESE,
    "ja": _JAPANESE,
    "zh-TW": (_LATIN, "Noto Sans CJK TC", "Noto Sans CJK JP", "PingFang TC", "Microsoft JhengHei"),
}


def font_families(language: str) -> list[str]:
    """The font families that are here, in the order in which matplotlib looks for glyphs."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in FAMILIES[language] if name in here]
    any_cjk = sorted(name for name in here if "CJK" in name and name not in found)
    return [*found, *any_cjk[:1]] or ["sans-serif"]


@lru_cache(maxsize=32)
def picture_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font for words drawn into pictures with Pillow, `size` in pixels: one that knows Japanese and Chinese where
    there is one, else Pillow's own, in which they are boxes."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    wanted = dict.fromkeys(name for families in FAMILIES.values() for name in families if name != _LATIN)
    for name in (*wanted, *sorted(name for name in here if "CJK" in name)):
        if name in here:
            try:
                return ImageFont.truetype(str(font_manager.findfont(name, fallback_to_default=False)), size)
            except (OSError, ValueError):
                continue
    return ImageFont.load_default(size)

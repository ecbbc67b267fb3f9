"""Which fonts plots are written in, so that English, Japanese and Traditional Chinese words render.

Fonts are looked for by name among those of the machine. What is drawn with them does not belong here.
"""

from __future__ import annotations

LANGUAGES = ("en", "ja", "zh-TW")
_JAPANESE = ("DejaVu Sans", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei")
FAMILIES = {
    "en": _JAPANESE,
    "ja": _JAPANESE,
    "zh-TW": ("DejaVu Sans", "Noto Sans CJK TC", "Noto Sans CJK JP", "PingFang TC", "Microsoft JhengHei"),
}


def font_families(language: str) -> list[str]:
    """The font families that are here, in the order in which matplotlib looks for glyphs."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in FAMILIES[language] if name in here]
    any_cjk = sorted(name for name in here if "CJK" in name and name not in found)
    return [*found, *any_cjk[:1]] or ["sans-serif"]

"""Lists of tags as data: which say who somebody is, which are smileys, and what a framing is called in tags.

Patterns are those of fnmatch on tags with spaces for underscores. A LoRA learns what captions do not name: tags of a
character's lasting traits are pruned, so that the trigger takes them up, and what changes (pose, clothes, expression)
stays, so that it can be asked for.
"""

from __future__ import annotations

_COLOURS = (
    "aqua", "black", "blonde", "blue", "brown", "green", "grey", "gray", "orange", "pink", "purple", "red", "silver",
    "white", "yellow", "light blue", "light brown", "light green", "light purple", "dark blue", "dark green",
    "platinum blonde", "multicolored", "two-tone", "gradient", "streaked", "colored inner", "rainbow", "split-color",
)  # fmt: skip

PRUNE_GROUPS: dict[str, tuple[str, ...]] = {
    "hair": (
        *(f"{colour} hair" for colour in _COLOURS), "long hair", "short hair", "medium hair", "very long hair",
        "very short hair", "absurdly long hair", "big hair", "curly hair", "wavy hair", "straight hair", "messy hair",
        "spiked hair", "asymmetrical hair", "hair between eyes", "hair over one eye", "hair over eyes", "hair intakes",
        "hair bun", "single hair bun", "double bun", "hair bobbles", "hair flaps", "ahoge", "antenna hair", "bangs",
        "* bangs", "sidelocks", "bob cut", "hime cut", "pixie cut", "ponytail", "* ponytail", "twintails",
        "* twintails", "braid", "* braid", "* braids", "drill hair", "twin drills", "bald", "forehead",
    ),
    "eyes": (
        *(f"{colour} eyes" for colour in _COLOURS), "heterochromia", "slit pupils", "symbol-shaped pupils",
        "*-shaped pupils", "no pupils", "ringed eyes", "tsurime", "tareme", "jitome", "sanpaku", "thick eyebrows",
        "* eyebrows", "* eyelashes", "mole under eye", "mole under mouth", "eyebrows visible through hair",
    ),
    "body": (
        "dark skin", "dark-skinned *", "pale skin", "tan", "colored skin", "* skin", "flat chest", "* breasts",
        "breasts", "petite", "muscular", "muscular *", "tall", "plump", "freckles", "mole", "mole on *", "scar",
        "scar on *", "fang", "fangs", "skin fang", "sharp teeth", "pointy ears", "animal ears", "* ears", "horns",
        "* horns", "single horn", "tail", "* tail", "wings", "* wings", "halo", "elf", "facial mark",
        "whisker markings", "child", "aged down", "aged up", "mature female", "mature male",
    ),
    "names": ("<character>",),
    "picture": (
        "simple background", "white background", "transparent background", "* background only", "official style",
        "anime screenshot", "anime coloring", "screencap", "letterboxed", "jpeg artifacts", "lowres", "highres",
        "absurdres", "watermark", "* watermark", "web address", "signature", "artist name", "dated", "subtitled",
        "* username", "border", "* border", "pillarboxed",
    ),
}  # fmt: skip
"""Groups of tags that may be pruned. "<character>" stands for every tag of the category character."""

SMILEYS = frozenset({
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
    "o_o", "u_u", "x_x", "|_|", "||_||", "0_<", "o_<", "x_<", ";_;", "t_t", "v_v", "n_n", "-_-", "._o", "$_$", "d_d",
})  # fmt: skip
"""Tags whose underscore is drawn: it stays where underscores become spaces."""

FRAMING_WORDS = {"face": "close-up", "bust": "portrait", "half": "upper body", "full": "full body"}
"""What the framings of the curated dataset are called in captions; another framing is not named."""

"""What is said on drawn comic pages: little stories in English and Japanese, and sounds.

Only characters that comic_glyphs.py and lettering.py have strokes for; a test holds them against each other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A story: a thing or animal that it is about (a key of props.PROPS), what is said in turn, narration, sounds."""

    prop: str
    english: tuple[str, ...]
    japanese: tuple[str, ...]
    narration: tuple[str, str]
    sounds: tuple[str, str]


SCRIPTS: tuple[Script, ...] = (
    Script(
        "cake",
        ("who ate my cake?", "not me!", "then who?", "maybe the cat...", "you have cream on your nose!", "...oops",
         "it was so good"),
        ("わたしのケーキは？", "しらないよ！", "じゃあだれ？", "ねこかな…", "はなにクリームついてる！", "あっ…",
         "おいしかった〜"),
        ("the next morning...", "つぎの日の三じ"), ("gasp!", "ガーン"),
    ),
    Script(
        "penguin",
        ("is that a penguin?", "here? in town?", "hello there!", "it can talk?!", "so can you.", "fair point.",
         "do you have any fish?"),
        ("ペンギン？", "まちの中に？", "こんにちは！", "しゃべった！？", "きみもね。", "たしかに…", "さかなある？"),
        ("meanwhile, downtown", "そのころ、まちでは"), ("plop", "ペタペタ"),
    ),
    Script(
        "bus",
        ("i am late!!", "wait for me!", "run! run!", "it is sunday...", "what?!", "no school today.", "zzz..."),
        ("ちこくだ〜！！", "まって〜！", "はしれ！", "きょうは日ようだよ", "ええっ？！", "やすみだ…", "おやすみ…"),
        ("eight o'clock", "あさの三じ"), ("dash!", "ダッシュ"),
    ),
    Script(
        "robot",
        ("i am a robot.", "beep beep!", "do you like tea?", "tea... error.", "try a cookie!", "delicious. beep.",
         "we are friends now"),
        ("ロボットです。", "ピピピ！", "おちゃはすき？", "おちゃ…エラー", "クッキーどうぞ！", "ウマイ。ピピ。",
         "ともだちだね"),
        ("in the year three thousand", "ずっとみらいの日本"), ("beep", "ピコピコ"),
    ),
    Script(
        "umbrella",
        ("nice weather!", "take an umbrella.", "it never rains here", "...", "splash!!", "i told you.", "achoo!"),
        ("いい天きだね！", "かさもっていけば？", "あめはふらないよ", "……", "ザーッ！！", "ほらね。", "ハックション！"),
        ("five minutes later", "三ぷんご"), ("splash", "ザーザー"),
    ),
    Script(
        "cat",
        ("here kitty!", "meow?", "come down please", "it is too high up there", "i will help!", "now we are both stuck",
         "meow."),
        ("おいで〜", "ニャ？", "おりておいで", "木の上たかいよ", "たすける！", "おりられない…", "ニャー。"),
        ("under the big tree", "大きな木の下で"), ("meow", "ニャーン"),
    ),
    Script(
        "dog",
        ("good boy!", "woof!", "fetch!", "that is not the ball", "that is my lunch!!", "woof woof", "bad boy..."),
        ("いいこ！", "ワン！", "とってこい！", "ボールじゃない", "おべんとう！！", "ワンワン", "もう〜"),
        ("at the park", "川のそばで"), ("woof!", "ワン"),
    ),
    Script(
        "guitar",
        ("today we start a band!", "who plays?", "i have a guitar", "can you play it?", "not at all!", "perfect.",
         "one, two, three!"),
        ("今日からバンドだ！", "だれがひくの？", "ギターあるよ", "ひける？", "ぜんぜん！", "いいね。",
         "ワン、ツー、スリー！"),
        ("our story begins", "ものがたりのはじまり"), ("twang!", "ジャーン"),
    ),
    Script(
        "fish",
        ("is it a big one?", "huge!", "as big as a car!", "pull!!", "...", "that is a boot", "best boot ever"),
        ("大きい？", "すごく大きい！", "山みたい！", "ひけ〜！！", "……", "ながぐつだ", "いいくつだね"),
        ("by the sea", "なつのうみ"), ("splash!", "バシャ"),
    ),
    Script(
        "teddy",
        ("are you scared?", "no! are you?", "what was that?!", "something moved...", "boo!", "aaaah!!",
         "it is only a teddy bear"),
        ("こわい？", "ぜ、ぜんぜん", "いまの何！？", "うごいた…", "ばあ！", "ぎゃーーー！！", "くまさんか…"),
        ("that night...", "そのよる"), ("boo!", "ドロドロ"),
    ),
)  # fmt: skip
LATER: tuple[tuple[str, str], ...] = (
    ("later...", "そのあと…"), ("suddenly!", "そのとき！"), ("and so...", "こうして"), ("the same day", "おなじ日"),
    ("but then", "ところが"), ("ten seconds later", "すこしあと"),
)  # fmt: skip
SOUNDS: tuple[tuple[str, str], ...] = (
    ("boom!", "ドン"), ("crash!", "ドカーン"), ("zoom", "ビューン"), ("pow!", "バキッ"), ("thud", "ドサッ"),
    ("whoosh", "ゴゴゴ"), ("tap tap", "トントン"), ("knock", "コンコン"), ("click", "カチッ"), ("wham!", "バーン"),
    ("silence", "シーン"), ("thump thump", "ドキドキ"), ("sparkle", "キラキラ"), ("chatter", "ザワザワ"),
)  # fmt: skip

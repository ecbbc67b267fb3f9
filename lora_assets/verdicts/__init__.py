"""What a person said of crops: the append-only log of verdicts, and which crops of a tracker they apply to.

record.py      one verdict: its columns, their limits, JSON lines
append_only.py a log on disk: opening, transactions, export, import, check, backup; what both logs have in common
log.py         the log of verdicts: append, undo, current view
restoring.py   a backup put back, with what the damaged log still tells
local_disk.py  is a folder on a disk of this machine, as the log needs
places.py      the crops of a tracker with frame and box, from its published tables
matching.py    a verdict survives re-detection: same frame, IoU of 0.8 or more
corrections.py masks made by hand: their log, and the boxes they apply to

What belongs elsewhere: learning from verdicts (judge), the page that collects them (tracker).
"""

from lora_assets.verdicts.log import ImportCount, VerdictLog, open_log
from lora_assets.verdicts.matching import Matched, Matching, Unmatched, match_verdicts
from lora_assets.verdicts.places import CropPlace, tracker_places
from lora_assets.verdicts.record import Mark, Verdict, VerdictError

__all__ = [
    "CropPlace",
    "ImportCount",
    "Mark",
    "Matched",
    "Matching",
    "Unmatched",
    "Verdict",
    "VerdictError",
    "VerdictLog",
    "match_verdicts",
    "open_log",
    "tracker_places",
]

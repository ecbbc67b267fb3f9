"""Two trackers side by side: which crops changed, in which stage first, and what differed there.

Published tables, kept recipes and verdicts are read; pages, commands and the asset check show the answer.

settings.py           section [compare] of a tracker
cell_rows.py          the rows of one cell, digests of whole rows
matching.py           which crops of two trackers are one
changes.py            what differs between the recipes of two cells
verdicts_of_crops.py  what a person said of each crop
causes.py             what explains a change, and by which way it reached a crop
tracing.py            what became of each crop, the first stage that differs, its cause
unmatched.py          why a crop of one tracker has no partner in the other
flag_counts.py        which flags came and went
comparison.py         compare_trackers: all shared datasets together
details.py            what differs of single crops
report.py             words, JSON, Markdown and numbers
"""

from lora_assets.comparing.comparison import Comparison, Selection, compare_trackers, comparison_state
from lora_assets.comparing.settings import CompareSettings

__all__ = ["CompareSettings", "Comparison", "Selection", "compare_trackers", "comparison_state"]

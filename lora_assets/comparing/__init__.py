"""Two trackers side by side: which crops changed, in which stage first, and what differed there.

Published tables and verdicts are read; pages, commands and the asset check show the answer.
"""

"""The command line: `lora-assets`. Each command is a thin call of the functions that the assets call.

app.py         the commands' root, exit codes
project.py     where the project lies
console.py     tables and progress on a terminal, plain lines in a pipe
runs.py        bringing a tracker up to date through Dagster, in this process
paths.py       paths as a person writes them
folders.py     the folder that a command names; folders against what is listed of them
sources.py     the dataset or folder that a command works on without a tracker
settings.py    settings as they are given on a command line
run.py         run, demo
status.py      status
trackers.py    tracker new, list, show, seal, reopen
tables.py      show
weights.py     models list, pull, verify, add, convert
servers.py     up, serve, password
dagster_ui.py  the Dagster web server behind the guard
register.py    reregister
verdicts.py    verdicts list, export, import, check, backup, restore
judge.py       judge
compare.py     compare
curate.py      curate, characters list, name, merge, split
mask_lab.py    sweep, presets, layers, adopt
export.py      export, check-export, caption make, list, set, import
bench.py       bench
segment.py     segment
corrections.py corrections list, withdraw, export, import, check, backup, restore
logs.py        export, import, check, backup, restore of both logs
annotations.py annotations check, convert, show; sample-comics; train-page-detector; segment-pages
doctor.py      doctor
verify.py      verify
"""

from lora_assets.cli.app import main

__all__ = ["main"]

"""Model weights: what is known, where a file lies, how it gets there, and what may be opened.

registry.py    the table of known weights: places, sizes, hashes, licences
families.py    which kind of model a file holds, told without loading it
digests.py     SHA-256 of weight files, remembered while a file does not change
records.py     what a person added or accepted: `data/models/added.toml`, `pins.toml`
download.py    one file from the net, resumable and checked
folder.py      `data/models/`: list, pull, verify, add
opening.py     a name or a path becomes a file that may be opened
offline.py     the switches by which the libraries underneath stay off the network
confinement.py runs foreign code without network and rights, for a pickle that is to be converted
shut_in.py     the program by which a process shuts itself in
tuned.py       segmenters that a person tuned: `data/models/tuned/`

What belongs elsewhere: reading the weights themselves (vision), since nothing here imports torch.
"""

from lora_assets.models.folder import ListedWeights, VerifiedFile, add, list_weights, pull, verify
from lora_assets.models.opening import OpenWeights, resolve
from lora_assets.models.registry import WEIGHTS, ModelError, Weights

__all__ = [
    "WEIGHTS",
    "ListedWeights",
    "ModelError",
    "OpenWeights",
    "VerifiedFile",
    "Weights",
    "add",
    "list_weights",
    "pull",
    "resolve",
    "verify",
]

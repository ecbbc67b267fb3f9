"""From scored crops to the chosen ones: filters, choice, balance, readiness, and the split of a validation part.

Every crop in or out carries its reason. Writing files for trainers belongs to exports.
"""

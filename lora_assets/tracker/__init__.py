"""The pages of the trackers: what a person sees in the browser, and the guard in front of it.

Reads published tables and pictures; computes no stage and imports neither torch nor Dagster. Stages are not here.
"""

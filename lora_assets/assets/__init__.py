"""The asset graph as Dagster sees it, one file per branch; an asset is a signature and a call."""

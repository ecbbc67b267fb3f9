from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from lora_assets.main_line.integrity import schema_holds
from lora_assets.store import Store
from lora_assets.tables import Detection
from lora_assets_tests.judge.cells import DATASET, TRACKER, make_cell


@pytest.mark.parametrize(
    ("lacking", "passed"), [([], True), (["body_from", "detectors", "agreement"], True), (["label"], False)]
)
def test_a_table_may_lack_later_columns_that_have_a_default_and_no_others(data, lacking, passed):
    make_cell(data, frames=3)
    store = Store(data)
    path = store.table_path("detections", DATASET, TRACKER)
    pq.write_table(pq.read_table(path).drop_columns(lacking), path)
    found = schema_holds(store.cell_table("detections", DATASET, TRACKER), Detection)
    assert found.passed is passed, found.text


def test_a_column_that_the_row_type_does_not_know_is_told(data):
    make_cell(data, frames=3)
    store = Store(data)
    path = store.table_path("detections", DATASET, TRACKER)
    table = pq.read_table(path)
    pq.write_table(table.append_column("colour", table.column("label")), path)
    assert not schema_holds(store.cell_table("detections", DATASET, TRACKER), Detection).passed

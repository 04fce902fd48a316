"""The report of a validation is one page and JSON."""

from __future__ import annotations

import json

from orograph.pipeline.validation import ControlColumns, ValidationOptions, read_control, validate
from orograph.pipeline.validation.report import write_validation
from tests.support.validation_made import FRAME, GRIDS, csv_of


def test_the_report_is_one_page_and_json(folder, points, tmp_path):
    control = read_control(csv_of(folder, points), ControlColumns(crs="EPSG:3035"))
    found = validate([folder / "T_elevation.tif"], control, GRIDS, ValidationOptions(control_frame=FRAME))
    write_validation(found, tmp_path)
    document = json.loads((tmp_path / "validation.json").read_text())
    assert document["overall"]["count"] == 4000
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "Distance to a border" in page
    assert len((tmp_path / "errors.csv").read_text().splitlines()) == 4001

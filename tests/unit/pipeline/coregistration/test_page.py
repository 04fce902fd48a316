"""The page of a report contains its numbers, its pictures, and nothing unescaped."""

import base64

from orograph.pipeline.coregistration.page import write_page

REPORT = {
    "status": "converged",
    "reason": "",
    "method": "nuth-kaab",
    "shift_m": {"east": 1.234, "north": -0.001, "up": None},
    "axes": "grid <north>",
    "waves": [{"wavelength_m": 1234.0, "azimuth_deg": 90.0, "amplitude_m": {"east": 0.5, "north": 0.0, "up": 0.1}}],
    "nmad_m": {"before": 2.0, "after": 1.0, "held_out": 1.1, "held_out_2km_buffered": None},
    "median_m": {"before": 0.5, "after": 0.0},
    "sample_count": 12345,
    "block_status": None,
    "seconds": {"fit": {"wall": 1.0, "cpu": 2.0}},
    "convention": "reference(x) = raster(x)",
    "notes": ["a & b"],
    "inputs": {"raster": "<script>.tif", "reference": "ref.tif"},
}


def test_numbers_and_pictures_are_inside_and_names_are_escaped(tmp_path):
    (tmp_path / "dh_before.png").write_bytes(b"picture")
    write_page(tmp_path / "page.html", tmp_path, REPORT)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "1.23, 0.00, not known m" in text
    assert "12,345" in text
    assert "1,234 m at 90 degrees" in text
    assert text.count("<figure>") == 1
    assert base64.b64encode(b"picture").decode() in text
    assert "<script>" not in text
    assert "a &amp; b" in text


def test_a_reason_follows_the_status_and_blocks_are_counted(tmp_path):
    write_page(
        tmp_path / "page.html",
        tmp_path,
        {**REPORT, "status": "rejected", "reason": "too far", "block_status": {"converged": 3}, "waves": []},
    )
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "rejected: too far" in text
    assert "3 converged" in text
    assert "<figure>" not in text

"""The header gate: what is refused, how fast, and that honest files pass."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.sources.untrusted_header import check_raster_file
from tests.support.tiffs import image, tiff, write_heights

BOMBS = {
    "360 GB of sparse pixels": (tiff(image(300_000, 300_000, block=(256, 256))), "300000 x 300000 pixels"),
    "one block of 1.6 GB": (tiff(image(20_000, 20_000, block=(20_000, 20_000))), "MiB each"),
    "one strip of 1.6 GB": (tiff(image(20_000, 20_000)), "MiB each"),
    "a million directories": (tiff(image(10, 10), directories=1_000_000), "more than 64"),
    "a circle": (tiff(image(10, 10), directories=3, circular=True), "circle"),
    "60,000 bands": (tiff(image(10, 10, bands=60_000)), "60000 bands"),
    "pixels for blocks": (tiff(image(100_000, 100_000, block=(1, 1))), "blocks"),
    "no pixels": (tiff(image(0, 10)), "0 x 10"),
    "no image": (tiff([]), "0 x 0"),
    "a directory beyond the end": (tiff(image(10, 10))[:4] + b"\xff\xff\xff\x00", "truncated"),
    "half a header": (tiff(image(10, 10))[:20], "truncated"),
    "an empty file": (b"", "empty"),
    "an HTML page": (b"<!DOCTYPE html><html><body>Not found</body></html>", "HTML page"),
    "a VRT": (b"<VRTDataset><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>", "XML"),
    "a ZIP": (b"PK\x03\x04" + bytes(50), "not a TIFF"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(name: str, tmp_path: Path) -> None:
    data, message = BOMBS[name]
    path = tmp_path / "source.tif"
    path.write_bytes(data)
    started = time.process_time()
    with pytest.raises(SourceCorrupt, match=message) as caught:
        check_raster_file(path)
    assert time.process_time() - started < 0.1
    assert caught.value.source == str(path)


def test_refusing_takes_under_50_megabytes(tmp_path: Path) -> None:
    """Of a process that does nothing else, from its start: interpreter, imports and all bombs."""
    for number, (data, _) in enumerate(BOMBS.values()):
        (tmp_path / f"{number}.tif").write_bytes(data)
    code = (
        "import sys, pathlib\n"
        "from orograph.pipeline.sources.untrusted_header import check_raster_file\n"
        "from orograph.pipeline.errors import SourceCorrupt\n"
        "refused = 0\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.tif'):\n"
        "    try: check_raster_file(path)\n"
        "    except SourceCorrupt: refused += 1\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(refused, int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    refused, peak_mb = map(int, answer.stdout.split())
    assert refused == len(BOMBS)
    assert peak_mb < 50


@pytest.mark.parametrize(
    "options", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"tiled": False, "blockxsize": None, "blockysize": 1}]
)
def test_honest_tiffs_pass(options: dict[str, object], tmp_path: Path) -> None:
    path = write_heights(tmp_path / "a.tif", np.ones((300, 200)), **options)
    header = check_raster_file(path)
    assert (header.width_px, header.height_px, header.bands) == (200, 300, 1)


def test_hgt_files_pass_by_their_size(tmp_path: Path) -> None:
    path = tmp_path / "N47E010.hgt"
    path.write_bytes(bytes(1201 * 1201 * 2))
    assert check_raster_file(path).driver == "SRTMHGT"
    path.write_bytes(bytes(1201 * 1201))
    with pytest.raises(SourceCorrupt):
        check_raster_file(path)


@pytest.mark.parametrize(
    "name", ["dtm/limburg_nl_0p5m.tif", "dtm/slovenia_1m.tif", "glo30/romania_30m.tif", "srtm/N43E006.hgt"]
)
def test_real_files_pass(name: str, shared: Callable[[str], Path]) -> None:
    assert check_raster_file(shared(f"data/{name}")).width_px > 100

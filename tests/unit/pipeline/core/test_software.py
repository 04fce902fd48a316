"""The record of software versions."""

import json

import numpy as np
import pyproj
import rasterio

from orograph.pipeline.core.software import software_versions
from orograph.pipeline.version import __version__


def test_versions_are_those_of_the_running_libraries():
    versions = software_versions()
    assert versions["orograph"] == __version__
    assert versions["numpy"] == np.__version__
    assert versions["rasterio"] == rasterio.__version__
    assert versions["gdal"] == rasterio.__gdal_version__
    assert versions["proj"] == pyproj.proj_version_str


def test_the_record_is_equal_each_time_and_fits_json():
    assert json.loads(json.dumps(software_versions())) == software_versions()

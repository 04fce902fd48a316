"""The bundled catalogue: every entry can be believed, or says what is to be confirmed."""

from __future__ import annotations

import re
import time

import pytest
from pyproj import CRS
from shapely.geometry import box

from orograph.pipeline.errors import ConfigError, SourceMissing, SourceUnverified
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.sources.catalogue import CellTemplate, Portal, SourceCatalogue
from orograph.pipeline.sources.readiness import check_ready, obstacle
from orograph.pipeline.sources.selection import SourceFilter, access_of, state_of
from orograph.pipeline.vertical.catalogue import VerticalCatalogue

CATALOGUE = SourceCatalogue.load()
FRAMES = VerticalCatalogue.load().frames
COUNTRIES = {
    "AT", "BE", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FO", "FR", "GB", "IE", "IS", "IT", "LU", "LV", "NL", "NO",
    "PL", "PT", "RO", "SE", "SI", "SJ", "SK",
}  # fmt: skip
STATES = {
    "BB", "BE", "BW", "BY", "HB", "HE", "HH", "MV", "NI", "NW", "RP", "SH", "SL", "SN", "ST", "TH",
}  # fmt: skip


def test_it_knows_every_country_that_has_an_open_model():
    assert len(CATALOGUE.sources) >= 60
    codes = [source.country for source in CATALOGUE.sources]
    assert {code.partition("-")[0] for code in codes if code != "GLOBAL"} == COUNTRIES
    assert {code.partition("-")[2] for code in codes if code.startswith("DE")} == STATES


@pytest.mark.parametrize("source", CATALOGUE.sources, ids=lambda source: source.id)
def test_an_entry_is_valid(source):
    crs = CRS.from_user_input(source.horizontal_crs)
    to_confirm = " ".join(source.unverified)
    assert source.vertical_frame in FRAMES or re.search("vertical", to_confirm)
    west, south, east, north = source.area_deg
    assert -180 <= west < east <= 180
    assert -90 <= south < north <= 90
    if source.country != "GLOBAL":
        assert (east - west) * (north - south) < 500
        use = crs.area_of_use
        overlap = box(*source.area_deg).intersection(box(use.west, use.south, use.east, use.north)).area
        assert overlap > 0.2 * box(*source.area_deg).area
    assert source.attribution
    assert source.licence
    assert source.licence_url
    assert source.licence_name or source.licence != "proprietary" or source.country in {"GLOBAL", "BE", "CH", "DK"}
    assert 0 not in source.nodata
    assert all(
        re.match(r"https?://[a-z0-9.-]+\.[a-z]+(/|$)|s3://[a-z0-9-]+/", href)
        for href in getattr(source.data, "hrefs", None) or (source.data.href,)
    )
    assert not any(line.endswith(".") for line in source.unverified)
    if isinstance(source.data, Portal):
        assert source.data.how


def test_templates_name_the_files_of_an_area():
    def hrefs(source_id, area_deg):
        data = CATALOGUE.get(source_id).data
        assert isinstance(data, CellTemplate)
        return {href.rpartition("/")[2]: shape for href, shape in template_files(data, area_deg)}

    bavaria = hrefs("de-by-dgm1", (10.985, 47.415, 10.9851, 47.4151))
    assert list(bavaria) == ["649_5253.tif"]
    assert "ALS_DTM_CRS3035RES50000mN2650000E4400000.tif" in hrefs("at-dtm1", (11.2, 47.0, 11.3, 47.1))
    west, south, east, north = bavaria["649_5253.tif"].bounds
    assert west < 10.985 < east
    assert south < 47.415 < north
    assert "dgm1_32_511_5304_2_bw.zip" in hrefs("de-bw-dgm1", (9.15, 47.9, 9.17, 47.92))
    assert list(hrefs("glo-30", (6.2, 43.1, 6.9, 43.9))) == ["Copernicus_DSM_COG_10_N43_00_E006_00_DEM.tif"]


def test_an_unverified_entry_needs_the_users_word():
    source = CATALOGUE.get("at-dtm1")
    with pytest.raises(SourceUnverified, match=r"EVRF2000 Austria .* --accept-unverified at-dtm1"):
        check_ready(source)
    check_ready(source.model_copy(update={"accept_unverified": True}))
    with pytest.raises(SourceMissing, match="by hand"):
        check_ready(CATALOGUE.get("nl-ahn4"))
    with pytest.raises(SourceMissing, match="sources fetch de-bb-dgm1"):
        check_ready(CATALOGUE.get("de-bb-dgm1"))
    with pytest.raises(ConfigError, match="standard deviations"):
        check_ready(CATALOGUE.get("gedtm30-std"))
    assert obstacle(CATALOGUE.get("glo-30")) is None


def test_sources_are_chosen_by_country_resolution_licence_and_place():
    fine = SourceFilter(countries=("DE",), coarsest_m=1.0, licence="dl-de").chosen(CATALOGUE.sources)
    assert {"de-bb-dgm1", "de-nw-dgm1"} <= {source.id for source in fine}
    assert all(source.licence.startswith("DL-DE") for source in fine)
    here = SourceFilter(area_deg=(6.0, 46.0, 6.1, 46.1), usable=True).chosen(CATALOGUE.sources)
    assert "glo-30" in {source.id for source in here}
    assert {state_of(source) for source in CATALOGUE.sources} == {"ready", "unverified", "fetch", "download", "errors"}
    assert {access_of(source) for source in CATALOGUE.sources} >= {
        "files", "archives", "template", "stac", "features", "atom", "portal",
    }  # fmt: skip


def test_traps_of_public_lists_are_not_inherited():
    assert CATALOGUE.get("sk-dmr5").horizontal_crs == "EPSG:8353"
    assert CATALOGUE.get("it-aosta-dtm2").horizontal_crs == "EPSG:23032"
    assert CATALOGUE.get("gedtm30").unit == "decimetre"
    for id_ in ("sk-dmr5", "it-aosta-dtm2", "at-oberoesterreich-dgm", "fr-antilles-rgealti-1m"):
        assert any(line.startswith("horizontal CRS") for line in CATALOGUE.get(id_).unverified), id_


def test_loading_is_quick():
    start = time.process_time()
    SourceCatalogue.load()
    assert time.process_time() - start < 0.5

"""The report of a comparison: JSON, and a page that escapes names."""

import numpy as np

from orograph.pipeline.borders.closure_check import RouteCheck
from orograph.pipeline.borders.compare import Border
from orograph.pipeline.borders.report import _described, _network, _network_html, picture_name
from orograph.pipeline.borders.solve import NetworkResult
from orograph.pipeline.borders.statistics import DifferenceStatistics
from orograph.pipeline.core.network_adjustment import Adjustment


def test_a_border_is_described_with_its_routes():
    differences = np.array([-0.01, 0.02, 0.03], np.float32)
    figures = DifferenceStatistics.of(differences)
    routes = RouteCheck("impossible", reason="a grid is missing")
    border = Border("nl", "de", figures, figures, figures, routes, np.zeros((3, 2)), differences, ())
    document = _described(border)
    assert (document["a"], document["b"], document["picture"]) == ("nl", "de", "border-nl-de.png")
    assert document["all_flat_ground"]["median_m"] == 0.02
    assert document["two_routes"] == {
        "verdict": "impossible", "difference_m": None, "spread_m": None, "datum_uncertainty_m": None, "reason": "a grid is missing",
    }  # fmt: skip
    assert picture_name(border) == "border-nl-de.png"


def test_corrections_are_shown_in_centimetres():
    network = _network(NetworkResult({"<nl>": Adjustment(constant_m=0.0123, sigma_m=0.005)}, 0.05, 0.01, 7))
    page = _network_html(network)
    assert "<td>&lt;nl&gt;</td><td>+1.23</td><td>0.50</td>" in page
    assert "5.00 cm before, 1.00 cm after" in page
    assert "No adjustment" in _network_html(None)

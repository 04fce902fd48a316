"""A model card has the data with licence and attribution, figures and limits."""

from orograph.pipeline.learning.superres.model_card import model_card

PLAN = {"factor": 3, "preset": "S", "seed": 1, "batch": 7, "patch_px": 48}
ABOUT = {
    "sites": [{"name": "tirol", "licence": "CC-BY-4.0", "attribution": "Land Tirol", "weight": 1.0}],
    "figures": {"gain_tirol_decimated": 9.04, "note": "by hand"},
    "stages": ["first", "second"],
}


def test_the_card_names_data_stages_and_figures():
    card = model_card("superres-x", "ab" * 32, PLAN, ABOUT)
    assert card.startswith("# superres-x\n")
    assert "| tirol | CC-BY-4.0 | Land Tirol | 1 |" in card
    assert "| tirol, decimated: RMSE gain over GDAL cubic | 9.0 % |" in card
    assert "| note | by hand |" in card
    assert "2. second" in card
    assert "No site was held out" in card


def test_held_out_sites_are_named():
    card = model_card("x", "0", PLAN, {**ABOUT, "held_out": ["kot", "taiwan"], "stages": []})
    assert "kot, taiwan" in card
    assert "No site was held out" not in card
    assert "1. One run." in card

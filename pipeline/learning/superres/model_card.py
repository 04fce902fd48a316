"""The model card: what went into weights, what came out, and where they should not be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def _limits(plan: Mapping[str, Any], about: Mapping[str, Any]) -> tuple[str, ...]:
    """What holds for any network of the kind; a figure would be another network's."""
    judged = (
        "Error bands and gate were set on the held-out ground together; on one raster alone they cover more or less."
        if about.get("held_out")
        else "No ground was held out: nothing above was judged, the error bands are too narrow, and there is no gate."
    )
    return (
        "Corrections are untried on ground unlike the sites above; surface models with trees and houses are, if those are terrain.",
        "Decimated terrain declared as averaged comes out worse than cubic; a check of the heights finds most such declarations.",
        judged,
        f"x{plan['factor']} only; other factors fall back to Keys' interpolant.",
    )


def _figures(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows of the table: what was written for it, and gains as training names them."""
    for key, value in figures.items():
        if isinstance(value, str):
            yield key, value
        elif key.startswith("gain_"):
            site, _, mode = key.removeprefix("gain_").rpartition("_")
            yield f"{site}, {mode}: RMSE gain over GDAL cubic", f"{value:.1f} %"


def model_card(name: str, sha256: str, plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Markdown for weights: data with licence and attribution, folds, seeds, figures, limits."""
    sites = "\n".join(
        f"| {site['name']} | {site['licence']} | {site['attribution']} | {site['weight']:g} |"
        for site in about.get("sites", ())
    )
    stages = "\n".join(f"{k}. {text}" for k, text in enumerate(about.get("stages", ()), start=1)) or "1. One run."
    figures = "\n".join(f"| {key} | {value} |" for key, value in _figures(about.get("figures", {})))
    limits = "\n".join(f"- {text}" for text in about.get("limits") or _limits(plan, about))
    held = ", ".join(about.get("held_out", ())) or "none"
    return f"""# {name}

Super-resolution of elevation by {plan["factor"]}, preset {plan["preset"]}; safetensors, sha256 `{sha256}`.
{about.get("licence", "Whoever trained them says under which licence they are")}; the data's attributions below travel with the weights.

## Training

{stages}

Seed {plan["seed"]}; {plan["batch"]} patches of {plan["patch_px"]} coarse pixels a step; {about.get("machine", "")}

| site | licence | attribution | weight |
|---|---|---|---|
{sites}

Held out for validation, calibration of the bands and of the gate: {held}.

## Figures on the held-out sites

| figure | value |
|---|---|
{figures}

## Limits

{limits}
"""

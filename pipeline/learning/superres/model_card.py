"""Model card of weights: training data, figures, and limits of use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def _limits(plan: Mapping[str, Any], about: Mapping[str, Any]) -> tuple[str, ...]:
    """Limits common to all networks of this kind; without figures, which differ between networks."""
    judged = (
        "Error bands and gate were calibrated on all held-out sites together; coverage on a single raster differs."
        if about.get("held_out")
        else "No site was held out: the network is not validated, its error bands are too narrow, and it has no gate."
    )
    return (
        "Corrections are untested on terrain unlike the sites above, and on DSMs with trees and houses if the sites are DTMs.",
        "Decimated terrain declared as averaged comes out worse than cubic; a check of the heights finds most such declarations.",
        judged,
        f"x{plan['factor']} only; other factors fall back to Keys' interpolant.",
    )


def _figures(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield rows of the table: texts as written, and gains by the names that training uses."""
    for key, value in figures.items():
        if isinstance(value, str):
            yield key, value
        elif key.startswith("gain_"):
            site, _, mode = key.removeprefix("gain_").rpartition("_")
            yield f"{site}, {mode}: RMSE gain over GDAL cubic", f"{value:.1f} %"


def _site_rows(about: Mapping[str, Any]) -> str:
    return "\n".join(
        f"| {site['name']} | {site['licence']} | {site['attribution']} | {site['weight']:g} |"
        for site in about.get("sites", ())
    )


def sensor_card(name: str, sha256: str, plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Markdown for weights that correct a sensor's filter: data with licence and attribution, figures, limits."""
    figures = "\n".join(f"| {key} | {value} |" for key, value in about.get("figures", {}).items()) or "| none | - |"
    held = ", ".join(about.get("held_out", ())) or "none"
    return f"""# {name}

Correction of a sensor's filtered heights, for a factor of 3; safetensors, sha256 `{sha256}`.
{about.get("licence", "The author of the weights defines their licence")}; the data's attributions below travel with the weights.

## Training

{plan["examples"]} examples of drawn sensors and drawn grids over the sites below; {plan["steps"]} steps of {plan["batch"]} patches, seed
{plan["seed"]}; {about.get("machine", "the command is `orograph train --sensors`")}.
The resolver applies {plan["share"]:g} of the correction.

| site | licence | attribution | weight |
|---|---|---|---|
{_site_rows(about)}

Never trained on: {held}.

## Figures

| figure | value |
|---|---|
{figures}

## Limits

- Factor 3, footprints of 5 to 45 m, pixels of 15 to 48 m, noise to 10 m with a range to 60 m; elsewhere the filter alone is used.
- Sensors were simulated, with faults drawn to be like those of radar; on real sensors the gain is smaller.
- The stated error is the filter's, which is somewhat too wide for the corrected heights.
"""


def model_card(name: str, sha256: str, plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Markdown for weights: data with licence and attribution, folds, seeds, figures, limits."""
    sites = _site_rows(about)
    stages = "\n".join(f"{k}. {text}" for k, text in enumerate(about.get("stages", ()), start=1)) or "1. One run."
    figures = "\n".join(f"| {key} | {value} |" for key, value in _figures(about.get("figures", {})))
    limits = "\n".join(f"- {text}" for text in about.get("limits") or _limits(plan, about))
    held = ", ".join(about.get("held_out", ())) or "none"
    return f"""# {name}

Super-resolution of elevation by {plan["factor"]}, preset {plan["preset"]}; safetensors, sha256 `{sha256}`.
{about.get("licence", "The author of the weights defines their licence")}; the data's attributions below travel with the weights.

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

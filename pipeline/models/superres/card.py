"""The model card: what went into weights, what came out, and where they should not be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LIMITS = """\
- Trained and judged on terrain models without trees and houses (DTM); on a surface model the corrections are untried.
- Decimated terrain declared as averaged comes out worse than cubic; the declaration is checked against the heights,
  which tells 84 to 100 % of windows apart, not all.
- Of 30 x 30 blocks of decimated ground 4 to 17 % are worse than GDAL's cubic, most where there is little to gain;
  `--gate` brings that share to 5 % or less for one to three and a half points of gain.
- The error band is calibrated over held-out rasters together; on one of them the 68 % band covers 65 to 71 %.
- x3 only; other factors fall back to Keys' interpolant.
"""


def model_card(name: str, sha256: str, plan: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Markdown for weights: data with licence and attribution, folds, seeds, figures, limits."""
    sites = "\n".join(
        f"| {site['name']} | {site['licence']} | {site['attribution']} | {site['weight']:g} |"
        for site in about.get("sites", ())
    )
    stages = "\n".join(f"{k}. {text}" for k, text in enumerate(about.get("stages", ()), start=1)) or "1. One run."
    figures = "\n".join(f"| {key} | {value} |" for key, value in about.get("figures", {}).items())
    held = ", ".join(about.get("held_out", ())) or "none"
    return f"""# {name}

Super-resolution of elevation by {plan["factor"]}, preset {plan["preset"]}; safetensors, sha256 `{sha256}`.
Apache-2.0 as the code; the data's attributions below travel with the weights.

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

{_LIMITS}"""

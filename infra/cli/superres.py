"""`orograph superres`: upsample a raster, with a standard error for each pixel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, checked_precision
from orograph.pipeline.sources.catalogue import Thinning

if TYPE_CHECKING:
    from orograph.pipeline.sources.sensor import SensorModel


def superres(
    source: Annotated[Path, typer.Argument(help="Raster of heights in metres.")],
    target: Annotated[Path, typer.Argument(help="COG to write: band 1 heights, band 2 their error.")],
    factor: Annotated[int, typer.Option(min=1, help="Fine pixels along a coarse pixel's side.")] = 3,
    thinning: Annotated[Thinning, typer.Option(help="How the raster was made from finer measurements.")] = (
        Thinning.DECIMATED
    ),
    model: Annotated[
        str,
        typer.Option(
            help="superres-s, superres-xs, sensor, sensor-net, an interpolant such as keys6, best-linear, or weights.safetensors"
            "[#sha256=...]."
        ),
    ] = "superres-s",
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Mean with a second network or over eight symmetries: better, 9 x slower."),
    ] = False,
    precision: Annotated[
        str, typer.Option(help="fp32, or tf32, bf16 or fp16 where the hardware convolves in it: in the network's body.")
    ] = DEFAULT_PRECISION,
    gate: Annotated[
        bool,
        typer.Option(
            "--gate", help="Keep GDAL's cubic where the gain is not significant, shorten corrections elsewhere."
        ),
    ] = False,
    noise_m: Annotated[float, typer.Option(min=0.0, help="Noise of the source; 0 returns its samples exactly.")] = 0.0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    trust_thinning: Annotated[
        bool, typer.Option("--trust-thinning", help="Do not check the declared mode against the heights.")
    ] = False,
    sensor: Annotated[
        str | None,
        typer.Option(
            help="srtm, nasadem, glo-30, aw3d30, eu-dem, or a YAML file of parameters: --model sensor filters by it, "
            "others add its noise and blur to the error."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights of `train --sensors` for sensor-net instead of the bundled ones.")
    ] = None,
    accuracy_m: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Standard deviation of the source's heights, for the error; without it band 2 is of the interpolation alone.",
        ),
    ] = None,
    nodata: Annotated[list[float] | None, typer.Option(help="Void values the file does not declare.")] = None,
    lerc_m: Annotated[float | None, typer.Option(help="Largest error of LERC compression; lossless without.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG of before, after and difference to draw; none by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a sentence.")] = False,
) -> None:
    """Super-resolve a raster on its own grid, with an error for each pixel."""
    from orograph.infra.runs.model_weights import weights_reader
    from orograph.pipeline.core.weights_uri import is_own
    from orograph.pipeline.settings import RunSettings
    from orograph.pipeline.sources.sensor import NET_RESOLVER, read_sensor
    from orograph.pipeline.superres import resolver, takes_sensor
    from orograph.pipeline.superres.file import superresolve_file
    from orograph.pipeline.superres.interpolation_error import StatedError

    options: dict[str, object] = {}
    if model.startswith("superres-") or is_own(model):
        options = {
            "ensemble": ensemble,
            "precision": checked_precision(precision),
            "gate": gate,
            "noise_m": noise_m,
            "device": device,
        }
    elif takes_sensor(model):
        options = {"noise_m": noise_m} if sensor is None else {"sensor": read_sensor(sensor)}
        if model == NET_RESOLVER:
            options.pop("noise_m", None)
            options |= {"precision": checked_precision(precision), "device": device, "weights": str(weights or "")}
    elif ensemble or gate or noise_m or device != "cpu" or precision != DEFAULT_PRECISION:
        err.print(f"{model} is not a network: --ensemble, --gate, --noise-m, --device and --precision have no effect")
    known = None if sensor is None else read_sensor(sensor)
    up = resolver(model, fetch=weights_reader(RunSettings.with_flags()), **options)
    trained = getattr(up, "factor", factor)
    if trained != factor:
        err.print(f"{model} was trained for x{trained}; x{factor} is interpolated with keys6")
    with WorkProgress(shown=not as_json):
        report = superresolve_file(
            source,
            target,
            up if takes_sensor(model) else StatedError(up, known),
            factor,
            thinning,
            extra_nodata=tuple(nodata or ()),
            lerc_max_error_m=lerc_m,
            trust_thinning=trust_thinning,
            accuracy_m=_own_accuracy_m(accuracy_m, known, noise_m),
        )
    if picture is not None:
        from orograph.pipeline.core.pictures import draw_file_comparison

        draw_file_comparison(picture, source, target, (source.name, f"x{factor} by {up.name}"))
    if report.thinning is not thinning:
        err.print(
            f"{source} is declared {thinning.value}, but its heights are samples: treated as {report.thinning.value}"
        )
    if as_json:
        print_json(
            {
                "path": str(report.path),
                "shape": list(report.shape),
                "pixel_size_m": list(report.pixel_size_m),
                "median_sigma_m": report.median_sigma_m,
                "error_band": report.band,
                "model": up.name,
                "factor": factor,
                "thinning": report.thinning.value,
            }
        )
        return
    band = "" if report.median_sigma_m is None else f", {report.band} {report.median_sigma_m:.2f} m in the median"
    if accuracy_m is None and band:
        band += " (without the source's own error: give --accuracy-m)"
    out.print(f"{report.path}: {report.shape[1]} x {report.shape[0]} pixels of {report.pixel_size_m[0]:.2f} m{band}")


def _own_accuracy_m(accuracy_m: float | None, sensor: SensorModel | None, noise_m: float) -> float | None:
    """A source's accuracy without the noise that the upsampling's error includes."""
    if accuracy_m is None:
        return None
    included = noise_m**2 if sensor is None else sensor.typical_variance
    return math.sqrt(max(accuracy_m**2 - included, 0.0))

"""`orograph evaluate`: decimate or average measured heights, upsample them by every method, and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, checked_precision
from orograph.pipeline.sources.catalogue import Thinning


def evaluate(
    dtms: Annotated[list[Path], typer.Argument(help="Rasters of measured heights.")],
    factor: Annotated[int, typer.Option(min=2, help="Factor to thin by and to recover.")] = 3,
    thinning: Annotated[Thinning, typer.Option(help="Central sample or mean.")] = Thinning.DECIMATED,
    model: Annotated[
        list[str] | None, typer.Option(help="XS, S, a baseline, or weights.safetensors; may be given often.")
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option("--ensemble", help="Add each network's ensemble: with its partner, or over eight symmetries."),
    ] = False,
    reference_m: Annotated[float | None, typer.Option(help="Bring the heights to this pixel size first.")] = None,
    reference_by: Annotated[str, typer.Option(help="decimation (all phases) or mean.")] = "decimation",
    wrong_mode: Annotated[bool, typer.Option(help="Also evaluate each network with the wrong thinning mode.")] = True,
    opendem: Annotated[Path | None, typer.Option(help="OpenDEM's published weights (HDF5), as a peer.")] = None,
    fit_on: Annotated[
        list[Path] | None,
        typer.Option(help="DTM to fit the best linear filter on, may be given often; needed for other factors than 3."),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="fp32, or tf32, bf16 or fp16 where the hardware convolves in it: in the networks' bodies."),
    ] = DEFAULT_PRECISION,
    maps: Annotated[Path | None, typer.Option(help="Folder for a report with maps of |original - derived|.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Compare interpolants and networks on measured heights, by OpenDEM's protocol and further measures."""
    from orograph.infra.runs.model_weights import weights_reader
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.learning.superres.evaluate import EvaluationTile, best_linear, line_up, tiles_of
    from orograph.pipeline.learning.superres.evaluate import evaluate as run
    from orograph.pipeline.learning.superres.plots import MapWriter, plot_gains, write_evaluation_page
    from orograph.pipeline.settings import RunSettings

    if reference_by not in {"decimation", "mean"}:
        raise ConfigError(f"--reference-by {reference_by}", remedy="decimation or mean")
    seen = {path.resolve() for path in dtms} & {path.resolve() for path in fit_on or ()}
    if seen:
        raise ConfigError(
            f"{', '.join(sorted(map(str, seen)))} would be judged by a filter fitted on it",
            remedy="give another DTM to --fit-on",
        )

    def tiles_in(paths: list[Path]) -> list[EvaluationTile]:
        by: Literal["mean", "decimation"] = "mean" if reference_by == "mean" else "decimation"
        return [tile for path in paths for tile in tiles_of(path, factor, reference_m, by)]

    tiles = tiles_in(dtms)
    linear = best_linear(tiles_in(fit_on or []), factor, thinning)
    if linear is None:
        err.print(f"no best linear filter is bundled for x{factor}; fit one with --fit-on DTM")
    names = model or ["superres-s"]
    methods, declared = line_up(
        names, thinning, factor, fetch=weights_reader(RunSettings.with_flags()), ensemble=ensemble, wrong_mode=wrong_mode, opendem=opendem,
        precision=checked_precision(precision), linear=linear,
    )  # fmt: skip
    listener = None if maps is None else MapWriter(maps)
    with WorkProgress(shown=not as_json):
        report = run(tiles, methods, factor, thinning, declared, listener)
    report["reference_m"], report["reference_by"] = reference_m, reference_by
    if maps is not None:
        plot_gains(report, maps / "gains.png")
        err.print(f"report in {write_evaluation_page(report, maps)}", markup=False)
    if as_json:
        print_json(report)
    else:
        _table(report)


def _table(report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"x{report['factor']} {report['thinning']}, {report['tiles']} tiles, {report['pixels']} pixels")
    columns = (
        "method",
        "RMSE m",
        "MAE m",
        "max m",
        "PSNR dB",
        "SSIM",
        "slope °",
        "RMSE gain",
        "MAE gain",
        "blocks worse",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, row in report["methods"].items():
        worse = row["blocks_worse_percent"]
        table.add_row(
            name,
            f"{row['rmse_m']:.3f}",
            f"{row['mae_m']:.3f}",
            f"{row['max_m']:.1f}",
            f"{row['psnr_db']:.2f}",
            f"{row['ssim']:.5f}",
            f"{row['slope_rmse_deg']:.3f}",
            f"{row['gain_rmse_percent']:+.2f} %",
            f"{row['gain_mae_percent']:+.2f} %",
            "-" if worse is None else f"{worse:.1f} %",
        )
    out.print(table)
    for name, row in report["methods"].items():
        if "coverage_percent" in row:
            cover = row["coverage_percent"]
            out.print(f"{name}: bands of 68 % and 95 % cover {cover['68']:.1f} % and {cover['95']:.1f} %")

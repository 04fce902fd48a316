"""`orograph balance`: which machine makes tiles at the lowest cost, and whether its cores feed its GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from orograph.infra.engines.machines import Offer


def balance(
    machines: Annotated[Path, typer.Argument(help="CSV of machines and prices, in the columns of SkyPilot's vms.csv.")],
    tiles: Annotated[int, typer.Option(min=1, help="Tiles to make; 9,000 of 50 km are all of Europe.")] = 9000,
    core_s: Annotated[float, typer.Option(help="CPU seconds of a tile without networks.")] = 4.0,
    network_core_s: Annotated[
        float, typer.Option(help="CPU seconds of a tile's networks on a processor; 0 without networks.")
    ] = 0.0,
    report: Annotated[
        Path | None, typer.Option(help="report.json of a run, for its CPU seconds instead of --core-s.")
    ] = None,
    gpu: Annotated[
        list[str] | None, typer.Option(help="Measured speed of networks on a GPU, NAME=MPX_PER_S; may be given often.")
    ] = None,
    megapixels: Annotated[float, typer.Option(help="Megapixels of a tile that networks compute.")] = 25.0,
    megabytes: Annotated[float, typer.Option(help="Megabytes of a tile over the network.")] = 240.0,
    core_per_vcpu: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Speed of a vCPU of a busy machine, in measured cores.")
    ] = 1.0,
    region: Annotated[str, typer.Option(help="Only regions that begin so, such as eu.")] = "",
    spot: Annotated[bool, typer.Option("--spot", help="Take spot prices.")] = False,
    show: Annotated[int, typer.Option(min=1, help="Machines to list.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Rank machines by the cost of tiles, and show which resource limits each.

    Prices are those of the file. Speeds of GPUs are yours: no GPU is used whose speed is not given.
    """
    from orograph.infra.engines.machines import TileWork, offers, read_machines

    listed = [one for one in read_machines(machines, spot=spot) if one.region.startswith(region)]
    if not listed:
        raise ConfigError(f"{machines} lists no machine with a price in a region {region!r}", remedy="change --region")
    work = TileWork(core_s if report is None else _core_s(report), network_core_s, megapixels, megabytes)
    if not (work.core_s > 0 and work.network_core_s >= 0 and megapixels > 0 and megabytes >= 0):
        raise ConfigError("invalid work of a tile", remedy="seconds and megapixels must be positive")
    ranked = offers(listed, work, _speeds(gpu or ()), core_per_vcpu=core_per_vcpu)[:show]
    rows = [_row(offer, tiles) for offer in ranked]
    if as_json:
        print_json({"tiles": tiles, "core_s": work.core_s, "network_core_s": network_core_s, "machines": rows})
        return
    from rich.table import Table

    table = Table("machine", "region", "vCPUs", "GPU", "tiles/min", "limited by", "GPU busy", "hours", "cost", box=None)
    for row in rows:
        busy = f"{row['gpu_busy']:.0%}" if row["with_gpu"] else ""
        table.add_row(
            row["machine"], row["region"], f"{row['vcpus']:g}", row["gpu"] if row["with_gpu"] else "",
            f"{row['tiles_per_minute']:.0f}", row["limited_by"], busy, f"{row['hours']:.1f}", f"{row['cost']:.2f}",
        )  # fmt: skip
    out.print(table)
    best = rows[0]
    out.print(
        f"{tiles} tiles cost least on {best['machine']} ({best['region']}): {best['cost']:.2f} for {best['hours']:.1f} "
        f"hours of one machine, in the currency of {machines.name}"
    )
    err.print("compute only, at full load: storage, requests and traffic are not included")


def _row(offer: Offer, tiles: int) -> dict[str, Any]:
    bound, machine = offer.balance, offer.machine
    return {
        "machine": machine.name,
        "region": machine.region,
        "vcpus": machine.vcpus,
        "gpu": machine.gpu,
        "with_gpu": offer.with_gpu,
        "price_per_hour": machine.price_per_hour,
        "source": machine.source,
        "tiles_per_minute": round(bound.tiles_per_minute, 2),
        "limited_by": offer.binding,
        "gpu_busy": round(bound.gpu_busy, 3) if offer.with_gpu else None,
        "cores_for_85_percent": round(bound.cores_per_gpu * machine.gpus, 1) if offer.with_gpu else None,
        "hours": round(tiles / bound.tiles_per_minute / 60.0, 2),
        "cost": round(tiles * offer.cost_per_tile, 2),
    }


def _speeds(given: list[str] | tuple[str, ...]) -> dict[str, float]:
    found = {}
    for one in given:
        name, _, text = one.partition("=")
        try:
            speed = float(text)
        except ValueError:
            speed = 0.0
        if not name or not 0 < speed < float("inf"):
            raise ConfigError(f"--gpu {one!r} is not a speed", remedy="write it as H100=300, in megapixels a second")
        found[name] = speed
    return found


def _core_s(report: Path) -> float:
    """Mean CPU seconds of the tiles that a run made."""
    import json

    try:
        ended = json.loads(report.read_text(encoding="utf-8"))["ended"]
        seconds = [sum(entry["cpu_seconds"].values()) for entry in ended if entry.get("cpu_seconds")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{report} is not the report of a run: {error}", remedy="give runs/<run>/report.json"
        ) from error
    if not seconds:
        raise ConfigError(f"the run of {report} made no tile", remedy="give the report of a run that made tiles")
    return sum(seconds) / len(seconds)

"""Price lists of cloud machines, and the cost of tiles on each of them.

The columns are those of SkyPilot's catalogue (`vms.csv`), which lists machines of most providers with their prices.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orograph.infra.engines.balance import Balance, balance
from orograph.infra.engines.simulate import CPU, GPU, NETWORK, NodeModel, StageModel
from orograph.pipeline.errors import ConfigError

REQUIRED: Final = ("InstanceType", "vCPUs", "Price", "Region")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine for rent.

    Attributes:
        name, region: As the provider calls them.
        vcpus: Virtual processors; with simultaneous multithreading two share a core.
        gpu: Name of its GPUs; empty without.
        gpus: Number of GPUs.
        price_per_hour: List price, in the currency of the file.
        source: Where and when the price was read, if the file says so.
    """

    name: str
    region: str
    vcpus: float
    gpu: str
    gpus: float
    price_per_hour: float
    source: str = ""


@dataclass(frozen=True, slots=True)
class TileWork:
    """Work of one tile.

    Attributes:
        core_s: Core-seconds of everything that runs on processors only.
        network_core_s: Core-seconds of networks, if a processor runs them.
        megapixels: Pixels that networks compute, in millions.
        megabytes: Bytes read and written over the network, in millions.
    """

    core_s: float
    network_core_s: float
    megapixels: float
    megabytes: float

    def stages(self, gpu_mpx_s: float | None) -> tuple[StageModel, ...]:
        """Stages for the simulator; networks run on a GPU of `gpu_mpx_s` megapixels per second, or on CPUs if None."""
        network = [StageModel("networks", CPU, self.network_core_s)] if self.network_core_s else []
        if gpu_mpx_s is not None:
            network = [StageModel("networks", GPU, self.megapixels / gpu_mpx_s)]
        return (
            StageModel("transfer", NETWORK, self.megabytes, limit=90.0),
            StageModel("stages", CPU, self.core_s),
            *network,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine, and what it makes of tiles.

    Attributes:
        machine: The machine.
        balance: Upper bounds of its speed.
        with_gpu: Whether networks run on its GPUs.
        cost_per_tile: At full load.
    """

    machine: Machine
    balance: Balance
    with_gpu: bool
    cost_per_tile: float

    @property
    def binding(self) -> str:
        """The resource that limits the machine."""
        bounds = {"cores": self.balance.by_cores, "GPU": self.balance.by_gpus, "network": self.balance.by_network}
        return min(bounds, key=lambda name: bounds[name])


def read_machines(path: Path, *, spot: bool = False) -> list[Machine]:
    """Read a price list; rows without a price are left out, and zones of one region with equal prices are one machine.

    Args:
        path: CSV with the columns InstanceType, vCPUs, Price, Region; optional: AcceleratorName, AcceleratorCount,
            SpotPrice, Source.
        spot: Take spot prices.

    Raises:
        ConfigError: The file does not exist, or a column or a number is missing or invalid; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            wanted = (*REQUIRED, "SpotPrice") if spot else REQUIRED
            if missing := [name for name in wanted if name not in (reader.fieldnames or ())]:
                raise ConfigError(
                    f"{path} has no column {missing[0]}",
                    remedy=f"needed are {', '.join(wanted)}, as in SkyPilot's vms.csv",
                )
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the price list {path}: {error}", remedy="give a CSV file") from error
    column = "SpotPrice" if spot else "Price"
    found = (_machine(row, column, f"{path}, line {line}") for line, row in rows if (row[column] or "").strip())
    return list(dict.fromkeys(found))


def _machine(row: Mapping[str, str | None], column: str, place: str) -> Machine:
    gpu = (row.get("AcceleratorName") or "").strip()
    machine = Machine(
        name=(row["InstanceType"] or "").strip(),
        region=(row["Region"] or "").strip(),
        vcpus=_positive(row, "vCPUs", place),
        gpu=gpu,
        gpus=_positive(row, "AcceleratorCount", place) if gpu else 0.0,
        price_per_hour=_positive(row, column, place),
        source=(row.get("Source") or "").strip(),
    )
    if not machine.name:
        raise ConfigError(f"{place}: the machine has no name", remedy="fill in InstanceType")
    return machine


def _positive(row: Mapping[str, str | None], name: str, place: str) -> float:
    text = (row.get(name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"{place}: {name} is {text!r}", remedy="give a positive number")
    return value


def offers(
    machines: Iterable[Machine], tile: TileWork, gpu_mpx_s: Mapping[str, float], *, core_per_vcpu: float = 1.0
) -> list[Offer]:
    """Costs of tiles on machines, the cheapest first.

    A machine with a GPU of known speed counts twice: with and without it. GPUs of unknown speed are not used.

    Args:
        machines: From a price list.
        tile: Measured work of one tile.
        gpu_mpx_s: Megapixels a second that networks compute on a GPU, by its name.
        core_per_vcpu: Part of the measured core's speed that one vCPU gives when all are busy.
    """
    found = []
    for machine in machines:
        speeds: Sequence[float | None] = (None, gpu_mpx_s[machine.gpu]) if machine.gpu in gpu_mpx_s else (None,)
        for speed in speeds:
            node = NodeModel(
                cores=machine.vcpus * core_per_vcpu, gpus=machine.gpus, price_per_hour=machine.price_per_hour
            )
            bound = balance(tile.stages(speed), node)
            cost = machine.price_per_hour / (60.0 * bound.tiles_per_minute)
            found.append(Offer(machine, bound, speed is not None, cost))
    return sorted(found, key=lambda offer: (offer.cost_per_tile, offer.machine.name, offer.machine.region))

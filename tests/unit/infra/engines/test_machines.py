"""Price lists and the cost of tiles on their machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.engines.machines import TileWork, offers, read_machines
from orograph.infra.engines.simulate import ClusterModel, NodeModel, simulate
from orograph.pipeline.errors import ConfigError
from tests.support.worlds import make_job

LIST = """InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,SpotPrice,Region,AvailabilityZone
small,,,8,16,0.8,0.2,eu-north,a
small,,,8,16,0.8,0.2,eu-north,b
card,H100,1,32,180,2.4,,eu-north,a
card,H100,1,32,180,,,us-east,a
"""
EXAMPLE = Path(__file__).resolve().parents[4] / "docs/benchmarks/data/machines.csv"


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "vms.csv"
    path.write_text(LIST)
    return path


def test_prices_are_read_and_zones_are_one_machine(listed):
    small, card = read_machines(listed)
    assert (small.name, small.region, small.vcpus, small.gpus, small.price_per_hour) == ("small", "eu-north", 8, 0, 0.8)
    assert (card.gpu, card.gpus) == ("H100", 1)
    assert [one.price_per_hour for one in read_machines(listed, spot=True)] == [0.2]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("InstanceType,Price\nsmall,1\n", "no column vCPUs"),
        ("InstanceType,vCPUs,Price,Region\nsmall,many,1,eu\n", "line 2: vCPUs is 'many'"),
        ("InstanceType,vCPUs,Price,Region\nsmall,4,1,eu\n,4,1,eu\n", "line 3: the machine has no name"),
        ("InstanceType,vCPUs,Price,Region\nsmall,4,-1,eu\n", "Price is '-1'"),
        ("InstanceType,vCPUs,Price,Region,AcceleratorName\nsmall,4,1,eu,L4\n", "AcceleratorCount is ''"),
    ],
)
def test_a_bad_list_is_rejected_by_line(tmp_path, text, named):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        read_machines(path)
    with pytest.raises(ConfigError, match="cannot read the price list"):
        read_machines(tmp_path / "absent.csv")


def test_costs_by_hand_and_by_the_simulator(listed):
    tile = TileWork(core_s=4.0, network_core_s=12.0, megapixels=25.0, megabytes=240.0)
    found = offers(read_machines(listed), tile, {"H100": 100.0})
    assert [(one.machine.name, one.with_gpu, one.binding) for one in found] == [
        ("card", True, "GPU"),
        ("card", False, "cores"),
        ("small", False, "cores"),
    ]
    assert found[0].balance.tiles_per_minute == pytest.approx(60 * 100 / 25)
    assert found[0].cost_per_tile == pytest.approx(2.4 / 3600 / 4)
    assert found[2].cost_per_tile == pytest.approx(0.8 / 3600 * 16 / 8)
    halved = offers(read_machines(listed), tile, {}, core_per_vcpu=0.5)
    assert halved[-1].cost_per_tile == pytest.approx(2 * found[2].cost_per_tile)
    node = NodeModel(cores=32, gpus=1, workers=96, price_per_hour=2.4)
    run = simulate(
        (make_job(n) for n in range(1500)), tile.stages(100.0), ClusterModel(node, dispatch_s=0.0, start_s=0.0)
    )
    assert run.makespan_s / 3600 * 2.4 == pytest.approx(1500 * found[0].cost_per_tile, rel=0.08)


def test_the_command_names_the_cheapest(listed, tmp_path):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"ended": [{"cpu_seconds": {"regrid": 1.5, "write": 2.5}}, {"error": "x"}]}))
    words = ["balance", str(listed), "--report", str(report), "--network-core-s", "12", "--gpu", "H100=100", "--json"]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert found["core_s"] == 4.0
    assert (
        found["machines"][0] | {"machine": "card", "cost": 1.5, "hours": 0.62, "limited_by": "GPU"}
        == found["machines"][0]
    )
    table = CliRunner().invoke(app, words[:-1])
    assert table.exit_code == 0
    assert "9000 tiles cost least on card (eu-north): 1.50" in table.output


@pytest.mark.parametrize(
    "more", [["--gpu", "H100"], ["--region", "mars"], ["--report", "none.json"], ["--core-s", "0"]]
)
def test_bad_options_are_rejected(listed, more):
    done = CliRunner().invoke(app, ["balance", str(listed), *more])
    assert isinstance(done.exception, ConfigError)
    assert done.exception.remedy


def test_every_price_of_the_example_has_a_source():
    machines = read_machines(EXAMPLE)
    assert len(machines) >= 5
    assert all("2026" in one.source for one in machines)

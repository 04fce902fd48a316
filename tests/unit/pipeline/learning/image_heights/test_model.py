"""Discretisation, heads, networks, metrics, stitching and data of the image-to-height system."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from safetensors.torch import save_file
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.bare_earth.height_classes import Bins, Spacing
from orograph.pipeline.bare_earth.ordinal_head import Decoding, HeadKind, OrdinalHead, head_of
from orograph.pipeline.errors import (
    BandMismatch,
    ConfigError,
    ForeignModel,
    HeightsNotFinite,
    NoOverlap,
    NoTrainingPixels,
    SourceCorrupt,
    SourceMissing,
    UsageError,
)
from orograph.pipeline.learning.bare_earth.metrics import GroundMetrics
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from orograph.pipeline.learning.image_heights.ablation import VARIANTS, ablate, scene_of
from orograph.pipeline.learning.image_heights.backbone import DilatedResNet, load_imagenet
from orograph.pipeline.learning.image_heights.data import (
    Benchmark,
    Scene,
    image_scene,
    isprs_scene,
    isprs_tiles,
    split_tiles,
    surface_scene,
)
from orograph.pipeline.learning.image_heights.metrics import HeightMetrics
from orograph.pipeline.learning.image_heights.model import ImageModel, Stitching
from orograph.pipeline.learning.image_heights.network import HeightNet, NetworkSpec
from orograph.pipeline.learning.image_heights.stitch import CropLayout, assemble, chain_offsets, global_offsets
from orograph.pipeline.learning.image_heights.train import ImageTraining, train_image

SMALL = NetworkSpec(depth=18, bands=3, width=8, pooled=8)


def write(path: Path, pixels: np.ndarray, size: float = 1.0, west: float = 500_000.0, crs: str = "EPSG:32633") -> Path:
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    profile = {
        "driver": "GTiff", "dtype": str(pixels.dtype), "count": len(pixels), "height": pixels.shape[1],
        "width": pixels.shape[2], "crs": crs, "transform": Affine(size, 0, west, 0, -size, 5_000_000.0),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def test_spacing_increasing_thresholds_follow_equation_one() -> None:
    bins = Bins(0.0, 60.0, 64)
    t = bins.thresholds_m
    a, b = 1.0, 61.0
    assert t[0] == 0.0
    assert t[-1] == pytest.approx(60.0)
    assert t[10] == pytest.approx(np.exp(np.log(a) + np.log(b / a) * 10 / 64) - 1)
    assert (np.diff(t, n=2) > 0).all()
    assert np.diff(Bins(0.0, 60.0, 64, Spacing.UNIFORM).thresholds_m) == pytest.approx(60 / 64)
    assert bins.middles_m[3] == pytest.approx((t[3] + t[4]) / 2)
    assert Bins.from_dict(bins.to_dict()) == bins


def test_classes_hold_their_heights() -> None:
    bins = Bins(0.0, 30.0, 20)
    t = bins.thresholds_m
    heights = torch.tensor([-5.0, 0.0, t[1], (t[4] + t[5]) / 2, 29.99, 30.0, 99.0])
    assert bins.classes(heights).tolist() == [0, 0, 1, 4, 19, 19, 19]
    middles = torch.from_numpy(bins.middles_m)
    assert bins.classes(middles).tolist() == list(range(20))
    for bad in ({"count": 1}, {"high_m": 0.0}, {"high_m": float("nan")}, {"low_m": -2.0}):
        with pytest.raises(ConfigError):
            Bins(**bad)


def outputs_for(bins: Bins, classes: torch.Tensor, kind: HeadKind) -> torch.Tensor:
    """Outputs that are certain of the classes."""
    k = torch.arange(bins.count).view(1, -1, 1, 1)
    if kind is HeadKind.CLASSIFICATION:
        return 40.0 * (classes[:, None] == k).float()
    above = 20.0 * ((classes[:, None] > k).float() * 2 - 1)
    pairs = torch.stack([torch.zeros_like(above), above], dim=2)
    return pairs.flatten(1, 2)


@pytest.mark.parametrize("kind", [HeadKind.ORDINAL, HeadKind.CLASSIFICATION])
@pytest.mark.parametrize("decoding", list(Decoding))
def test_certain_outputs_decode_to_class_middles(kind: HeadKind, decoding: Decoding) -> None:
    bins = Bins(0.0, 40.0, 16)
    classes = torch.arange(16).view(1, 4, 4)
    head = head_of(kind, bins)
    outputs = outputs_for(bins, classes, kind)
    assert outputs.shape[1] == head.channels
    estimate = head.decode(outputs, decoding)
    assert np.allclose(estimate.height_m.numpy().ravel(), bins.middles_m, atol=1e-3)
    widths = np.diff(bins.thresholds_m)
    assert np.allclose(estimate.spread_m.numpy().ravel(), widths / np.sqrt(12), atol=2e-2)


def test_ordinal_loss_is_equation_two() -> None:
    bins = Bins(0.0, 10.0, 5)
    head = OrdinalHead(bins)
    torch.manual_seed(0)
    outputs = torch.randn(1, 10, 1, 2)
    heights = torch.tensor([[[bins.middles_m[3], bins.middles_m[0]]]], dtype=torch.float32)
    total = 0.0
    for pixel, c in enumerate((3, 0)):
        for k in range(5):
            p = torch.softmax(outputs[0, 2 * k : 2 * k + 2, 0, pixel], dim=0)[1]
            total -= float(torch.log(p) if k < c else torch.log(1 - p))
    assert float(head.loss(outputs, heights)) == pytest.approx(total / 2, rel=1e-5)
    heights[0, 0, 1] = torch.nan
    assert torch.isfinite(head.loss(outputs, heights))
    with pytest.raises(NoTrainingPixels):
        head.loss(outputs, torch.full_like(heights, torch.nan))


def test_ordinal_loss_grows_with_the_distance_of_the_class() -> None:
    bins = Bins(0.0, 20.0, 10)
    head = OrdinalHead(bins)
    outputs = outputs_for(bins, torch.full((1, 1, 1), 4), HeadKind.ORDINAL)
    losses = [float(head.loss(outputs, torch.full((1, 1, 1), float(m)))) for m in bins.middles_m]
    assert losses[4] < losses[5] < losses[6] < losses[9]
    assert losses[4] < losses[3] < losses[0]


def test_exceeding_probability_is_monotone_and_between() -> None:
    bins = Bins(0.0, 30.0, 12)
    head = OrdinalHead(bins)
    torch.manual_seed(1)
    outputs = torch.randn(2, 24, 3, 3) * 2
    levels = [float(head.exceeding(outputs, h).mean()) for h in (0.5, 1.0, 2.0, 5.0, 20.0)]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(levels))
    k = 4
    exact = head.probabilities(outputs)[:, k]
    assert torch.allclose(head.exceeding(outputs, float(bins.thresholds_m[k + 1])), exact, atol=1e-5)


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_backbone_gives_an_eighth_and_loads_torchvision_names(depth: int) -> None:
    network = DilatedResNet(depth, 3, 4).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, network.channels, 8, 12)
    names = set(network.state_dict())
    assert {
        "conv1.weight",
        "layer1.0.conv1.weight",
        "layer4.1.bn2.running_var",
        "layer2.0.downsample.0.weight",
    } <= names
    dilated = [m for m in network.layer4.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert all(m.dilation == (2, 2) and m.stride == (1, 1) for m in dilated)


def test_published_sizes_of_the_backbones() -> None:
    published = {18: 11_689_512, 50: 25_557_032}  # with the classifier of 1000 classes
    for depth, count in published.items():
        network = DilatedResNet(depth)
        assert sum(p.numel() for p in network.parameters()) + (network.channels + 1) * 1000 == count


def test_imagenet_weights_load_from_a_file(tmp_path: Path) -> None:
    source = DilatedResNet(18, 3, 8)
    state = {**source.state_dict(), "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet.pth")
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "resnet.safetensors")
    for name in ("resnet.pth", "resnet.safetensors"):
        target = DilatedResNet(18, 3, 8)
        load_imagenet(target, tmp_path / name)
        assert all(
            torch.equal(a, b) for a, b in zip(target.state_dict().values(), source.state_dict().values(), strict=True)
        )
    one_band = DilatedResNet(18, 1, 8)
    load_imagenet(one_band, tmp_path / "resnet.pth")
    assert torch.allclose(one_band.conv1.weight[:, 0], source.conv1.weight.sum(dim=1), atol=1e-6)
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(34, 3, 8), tmp_path / "resnet.pth")
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(18, 3, 16), tmp_path / "resnet.pth")
    (tmp_path / "text.pth").write_text("nothing")
    with pytest.raises(ForeignModel):
        load_imagenet(DilatedResNet(18, 3, 8), tmp_path / "text.pth")
    with pytest.raises(SourceMissing):
        load_imagenet(DilatedResNet(18, 3, 8), tmp_path / "none.pth")
    with pytest.raises(ConfigError):
        DilatedResNet(19)


@pytest.mark.parametrize("aspp", [True, False])
def test_network_answers_at_the_images_size(aspp: bool) -> None:
    network = HeightNet(NetworkSpec(18, 4, 8, aspp, 8), 20).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, 72, 50)).shape == (2, 20, 72, 50)
    groups = network.parameter_groups(1e-3)
    assert [g["lr"] for g in groups] == pytest.approx([1e-4, 1e-3])
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    dilations = [layer.dilation[0] for layer in network.aspp]
    assert dilations == ([1, 6, 12, 18] if aspp else [])


def test_metrics_by_hand() -> None:
    true = np.array([[2.0, 4.0], [10.0, np.nan]])
    predicted = np.array([[2.0, 5.5], [5.0, 7.0]])
    m = HeightMetrics.between(predicted, true)
    assert m.pixels == 3
    assert m.rel == pytest.approx((0 + 1.5 / 4 + 0.5) / 3)
    assert m.rmse_m == pytest.approx(np.sqrt((1.5**2 + 25) / 3))
    logs = [0, np.log10(5.5 / 4), np.log10(0.5)]
    assert m.rel_log10 == pytest.approx(np.mean(np.abs(logs)))
    assert m.rmse_log10 == pytest.approx(np.sqrt(np.mean(np.square(logs))))
    assert (m.delta1, m.delta2, m.delta3) == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    with pytest.raises(NoTrainingPixels):
        HeightMetrics.between(predicted, np.full((2, 2), np.nan))


def test_ground_metrics_tell_cover_from_open_ground() -> None:
    ground = np.zeros((2, 4))
    surface = np.array([[0, 0.1, 10, 20], [0, 0, 1.0, np.nan]])
    m = GroundMetrics.between(surface, ground, surface)
    assert m.covered_mae_m == pytest.approx(15.0)
    assert m.open_mae_m == pytest.approx(0.025)
    assert m.covered_fraction == pytest.approx(2 / 7)


def patches_of(world: np.ndarray, layout: CropLayout, rng: np.random.Generator, noise: float) -> list[np.ndarray]:
    size = layout.patch_px
    cut = [world[r : r + size, c : c + size] for r, c in layout.places]
    return [p - p.min() + rng.normal(0, noise, p.shape) + rng.normal(0, 0.3) for p in cut]


def test_both_stitchings_are_exact_without_noise_and_the_global_one_does_not_drift() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:200, 0:230] / 20.0
    world = 10 * np.sin(x) + 5 * np.cos(y) + x * y
    layout = CropLayout(200, 230, 32, 2)
    clean = patches_of(world, layout, rng, 0.0)
    for solve in (chain_offsets, global_offsets):
        error = assemble(clean, solve(clean, layout), layout) - world
        assert np.ptp(error) < 1e-3
    drift = {chain_offsets: 0.0, global_offsets: 0.0}
    for _ in range(5):
        noisy = patches_of(world, layout, rng, 3.0)
        for solve in drift:
            error = assemble(noisy, solve(noisy, layout), layout) - world
            drift[solve] += float(np.sqrt(np.mean((error - error.mean()) ** 2)))
    assert drift[global_offsets] < 0.97 * drift[chain_offsets]


def test_layouts_cover_the_map() -> None:
    layout = CropLayout(100, 64, 32, 2)
    covered = np.zeros((100, 64), dtype=int)
    for row, col in layout.places:
        covered[row : row + 32, col : col + 32] += 1
    assert covered.min() == 1
    assert layout.count == len(layout.places)
    with pytest.raises(ConfigError, match="smaller than a patch"):
        CropLayout(20, 64, 32, 2)
    with pytest.raises(ConfigError):
        chain_offsets([np.zeros((32, 32))], layout)


def scene(seed: int = 0, size: int = 96) -> Scene:
    """Blocks that are the brighter the higher they are."""
    rng = np.random.default_rng(seed)
    heights = np.kron(rng.integers(0, 5, (size // 16, size // 16)) * 3.0, np.ones((16, 16)))
    image = np.stack([heights / 15, rng.random((size, size)), 1 - heights / 15]).astype(np.float32)
    return Scene(f"blocks-{seed}", image, heights.astype(np.float32))


@pytest.mark.parametrize("kind", list(HeadKind))
def test_training_learns_blocks_and_survives_its_file(kind: HeadKind, tmp_path: Path) -> None:
    training = ImageTraining(epochs=4, patches=48, batch=8, crop_px=32, learning_rate=4e-3, backbone_factor=1.0)
    losses: list[float] = []
    model = train_image(
        [scene()],
        SMALL,
        kind,
        bins=Bins(0, 20, 12),
        training=training,
        on_epoch=lambda _, loss, __: losses.append(loss),
    )
    assert losses[-1] < 0.85 * losses[0]
    path = tmp_path / "m.safetensors"
    assert model.save(path) == path.stat().st_size
    read = ImageModel.load(path)
    a, _ = model.patch(scene(1).image[:, :32, :32])
    b, spread = read.patch(scene(1).image[:, :32, :32])
    assert np.array_equal(a, b)
    assert np.isnan(spread).all() == (kind is HeadKind.MSE)
    whole = read.map(scene(1).image, Stitching.CHAIN)
    assert whole.shape == (96, 96)
    assert whole.min() == 0
    assert read.evaluate(scene(1)).rmse_m < 12


def test_ablation_judges_every_variant_on_the_same_patches() -> None:
    training = ImageTraining(epochs=1, patches=4, batch=2, crop_px=32)
    chosen = {name: VARIANTS[name] for name in ("mse", "sid without aspp")}
    table = ablate([scene()], [scene(1)], SMALL, bins=Bins(0, 20, 8), training=training, variants=chosen)
    assert set(table) == {"constant", "mse", "sid without aspp"}
    assert set(table["sid without aspp"].figures) == {"middle", "expectation"}
    assert table["mse"].figures["middle"].pixels == table["sid without aspp"].figures["middle"].pixels
    assert len(table["mse"].curve) == 1
    assert set(table["mse"].by_height) <= {"0", "2", "5", "10", "20"}
    above = np.zeros((40, 40), np.float32)
    above[5:9, 5:9] = 6
    made = scene_of(SurfaceSite("a", 2.0, np.ones((40, 40), np.float32), above + 1))
    assert np.nanmax(made.heights_m) == 6
    bare = SurfaceSite("b", 2.0, np.ones((40, 40), np.float32))
    assert np.array_equal(scene_of(bare).heights_m, scene_of(bare).heights_m)
    with pytest.raises(NoTrainingPixels):
        ablate([], [scene()], SMALL, bins=Bins(), training=training)


def test_bad_training_data_is_refused(tmp_path: Path) -> None:
    training = ImageTraining(epochs=1, patches=2, batch=2, crop_px=32)
    with pytest.raises(NoTrainingPixels):
        train_image([], SMALL, HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(BandMismatch, match="3 bands, the network takes 4"):
        train_image([scene()], NetworkSpec(18, 4, 8), HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(ConfigError, match="smaller than a crop"):
        scene().crop(128, np.random.default_rng(0))
    with pytest.raises(NoTrainingPixels):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.full((4, 4), np.nan, np.float32))
    with pytest.raises(HeightsNotFinite):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.full((4, 4), np.inf, np.float32))
    with pytest.raises(NoOverlap):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.zeros((5, 4), np.float32))
    with pytest.raises(ConfigError):
        ImageTraining(crop_px=8)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(ForeignModel, match="not an ordinal height model"):
        ImageModel.load(other)
    with pytest.raises(SourceMissing):
        ImageModel.load(tmp_path / "none")
    model = train_image([scene()], SMALL, HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(BandMismatch):
        model.patch(np.zeros((4, 32, 32), np.float32))


def test_pairs_on_different_grids_meet(tmp_path: Path) -> None:
    image = write(tmp_path / "i.tif", np.full((4, 60, 80), 128, np.uint8), 1.0)
    y, x = np.mgrid[0:30, 0:40].astype(np.float32)
    heights = write(tmp_path / "h.tif", 10 * x, 2.0)
    pair = image_scene(image, heights, 4)
    assert pair.heights_m.shape == (60, 80)
    assert pair.image.max() == pytest.approx(128 / 255)
    assert pair.heights_m[30, 41] - pair.heights_m[30, 21] == pytest.approx(100, abs=1e-3)
    with pytest.raises(BandMismatch, match="4 bands, not 3"):
        image_scene(image, heights, 3)
    with pytest.raises(BandMismatch, match="heights have one"):
        image_scene(image, image)
    with pytest.raises(NoOverlap, match="does not overlap"):
        image_scene(image, write(tmp_path / "far.tif", y, 2.0, west=900_000.0))
    with pytest.raises(SourceMissing):
        image_scene(tmp_path / "none.tif", heights)
    (tmp_path / "bad.tif").write_text("no raster")
    with pytest.raises(SourceCorrupt):
        image_scene(image, tmp_path / "bad.tif")
    surface = write(tmp_path / "dsm.tif", 10 * x + 7, 2.0)
    above = surface_scene(surface, heights)
    assert above.image.shape == (3, 30, 40)
    assert np.allclose(above.heights_m, 7, atol=1e-3)


def test_isprs_layouts_and_splits(tmp_path: Path) -> None:
    for area in ("1", "2", "3"):
        write(tmp_path / "top" / f"top_mosaic_09cm_area{area}.tif", np.full((3, 40, 40), 90, np.uint8))
        write(tmp_path / "dsm" / f"dsm_09cm_matching_area{area}.tif", np.full((40, 40), 250.0, np.float32))
    tiles = isprs_tiles(tmp_path, Benchmark.VAIHINGEN)
    train, test = split_tiles(tiles, Benchmark.VAIHINGEN)
    assert [t.name for t in train] == ["1", "3"]
    assert [t.name for t in test] == ["2"]
    a, b = split_tiles(tiles, Benchmark.VAIHINGEN, seed=1)
    assert len(a) == 2
    assert {t.name for t in (*a, *b)} == {"1", "2", "3"}
    assert isprs_scene(tiles[0]).heights_m.mean() == 250
    write(tmp_path / "p" / "top_potsdam_2_10_RGB.tif", np.zeros((3, 40, 40), np.uint8))
    with pytest.raises(SourceMissing, match="no DSM"):
        isprs_tiles(tmp_path / "p", Benchmark.POTSDAM)
    write(tmp_path / "p" / "dsm_potsdam_02_10.tif", np.zeros((39, 40), np.float32))
    tile = isprs_tiles(tmp_path / "p", Benchmark.POTSDAM)[0]
    assert isprs_scene(tile).heights_m.shape == (39, 40)
    with pytest.raises(SourceMissing):
        isprs_tiles(tmp_path / "dsm", Benchmark.VAIHINGEN)


def test_command_line_trains_predicts_and_evaluates(tmp_path: Path) -> None:
    runner = CliRunner()
    made = scene()
    image = write(tmp_path / "i.tif", (made.image * 255).astype(np.uint8))
    heights = write(tmp_path / "h.tif", made.heights_m)
    model = tmp_path / "m.safetensors"
    small = "--depth 18 --width 8 --pooled 8 --classes 12 --highest 20 --epochs 1 --patches 8 --batch 4 --crop 32"
    pair = ["--image", str(image), "--heights", str(heights)]
    result = runner.invoke(app, ["ordinal", "train", "-o", str(model), *pair, *small.split()])
    assert result.exit_code == 0, result.output
    figures = runner.invoke(app, ["ordinal", "evaluate", str(model), *pair])
    assert '"delta3"' in figures.output
    out = tmp_path / "p.tif"
    drawn = runner.invoke(app, ["ordinal", "predict", str(model), str(image), "-o", str(out)])
    assert drawn.exit_code == 0, drawn.output
    with rasterio.open(out) as dataset:
        assert dataset.shape == (96, 96)
    assert isinstance(runner.invoke(app, ["ordinal", "train", "-o", str(model)]).exception, UsageError)
    wrong = runner.invoke(app, ["ordinal", "train", "-o", str(model), *pair, "--head", "oracle"])
    assert isinstance(wrong.exception, ConfigError)

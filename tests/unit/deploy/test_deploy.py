"""Every deployment file passes strict offline checks; every injected mistake is caught."""

from __future__ import annotations

import copy
import json
import random
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orograph.pipeline.version import __version__
from tests.support.manifests import DEPLOY, ROOT, compose_faults, documents, faults

KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
COMPOSE = DEPLOY / "compose/compose.yaml"


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_manifests_are_right(path: Path, shared: Callable[[str], Path]) -> None:
    crds = shared("kuberay-crds")
    for document in documents(path):
        assert list(faults(document, crds)) == []


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every key of a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from leaves(member, (*path, key))


def parent_of(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


# Where Kubernetes takes any name: labels, annotations, settings, resources, selectors, Ray's own flags.
FREE = {"labels", "annotations", "data", "matchLabels", "limits", "requests", "rayStartParams", "resources", "metadata"}


def misspelt(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with one key misspelt, for every key a schema knows."""
    for path in leaves(document):
        key = path[-1]
        if not isinstance(key, str) or FREE.intersection(map(str, path[:-1])):
            continue
        changed = copy.deepcopy(document)
        holder = parent_of(changed, path)
        holder[f"{key[:-1]}{'x' if key[-1] != 'x' else 'y'}"] = holder.pop(key)
        yield ".".join(map(str, path)), changed


def mistyped(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with one number, flag, list or mapping replaced by something else."""
    for path in leaves(document):
        if FREE.intersection(map(str, path[:-1])):
            continue
        value = parent_of(document, path)[path[-1]]
        if isinstance(value, str):
            continue
        changed = copy.deepcopy(document)
        parent_of(changed, path)[path[-1]] = {"not": "this"} if isinstance(value, bool | int) else "not this"
        yield ".".join(map(str, path)), changed


@pytest.mark.parametrize("mutate", [misspelt, mistyped])
@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_every_typo_in_a_manifest_is_caught(
    path: Path, mutate: Callable[[dict[str, Any]], Iterator[tuple[str, dict[str, Any]]]], shared: Callable[[str], Path]
) -> None:
    crds = shared("kuberay-crds")
    missed, count = [], 0
    generator = random.Random(5)
    for document in documents(path):
        mutants = list(mutate(document))
        for where, mutant in generator.sample(mutants, min(len(mutants), 60 // len(documents(path)))):
            count += 1
            if not any(True for _ in faults(mutant, crds)):
                missed.append(f"{document['kind']} {where}")
    assert missed == []
    assert count >= 10


MISTAKES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another Ray": lambda d: d["spec"].update(rayVersion="2.9.0"),
    "no token": lambda d: d["spec"].pop("authOptions"),
    "tiles on the head": lambda d: d["spec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": "4"}),
    "more than the most": lambda d: d["spec"]["workerGroupSpecs"][0].update(minReplicas=99),
    "a GPU Ray does not hear of": lambda d: d["spec"]["workerGroupSpecs"][1]["rayStartParams"].pop("num-gpus"),
    "root": lambda d: pod_of(d)["securityContext"].pop("runAsNonRoot"),
    "privileges": lambda d: pod_of(d)["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
    "capabilities": lambda d: pod_of(d)["containers"][0]["securityContext"]["capabilities"].update(drop=[]),
    "no limits": lambda d: pod_of(d)["containers"][0]["resources"].pop("limits"),
    "no tag": lambda d: pod_of(d)["containers"][0].update(image="orograph"),
    "a volume that is not there": lambda d: pod_of(d)["volumes"].pop(),
    "a secret in plain text": lambda d: pod_of(d)["containers"][0].update(
        env=[{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]
    ),
    "no seccomp": lambda d: pod_of(d)["securityContext"].pop("seccompProfile"),
}


def pod_of(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["headGroupSpec"]["template"]["spec"]


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_a_schema_allows_are_caught(name: str, shared: Callable[[str], Path]) -> None:
    (document,) = documents(DEPLOY / "kubernetes/raycluster.yaml")
    MISTAKES[name](document)
    assert list(faults(document, shared("kuberay-crds"))) != []


def test_a_wrong_serve_config_is_caught(shared: Callable[[str], Path]) -> None:
    (document,) = documents(DEPLOY / "kubernetes/rayservice.yaml")
    spec = document["spec"]
    for old, new in (("max_ongoing_requests", "max_ongoing_request"), ("min_replicas: 1", "min_replicas: many")):
        changed = {**document, "spec": {**spec, "serveConfigV2": spec["serveConfigV2"].replace(old, new)}}
        assert list(faults(changed, shared("kuberay-crds"))) != []


def test_the_service_that_is_served_exists() -> None:
    (document,) = documents(DEPLOY / "kubernetes/rayservice.yaml")
    (application,) = yaml.safe_load(document["spec"]["serveConfigV2"])["applications"]
    module, name = application["import_path"].split(":")
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert f"\n{name} = " in text
    assert f"class {application['deployments'][0]['name']}:" in text


def test_the_namespace_is_closed_and_metadata_is_out_of_reach() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in documents(DEPLOY / "kubernetes/network.yaml")}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    blocks = [to["ipBlock"] for rule in policies["to-stores"]["egress"] for to in rule["to"] if "ipBlock" in to]
    assert blocks == [{"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}]


def test_the_compose_file_is_right() -> None:
    assert list(compose_faults(documents(COMPOSE)[0], COMPOSE.parent)) == []


def test_every_typo_in_the_compose_file_is_caught() -> None:
    document = documents(COMPOSE)[0]
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    missed = []
    for path in leaves(document):
        key = path[-1]
        # Settings of the programs, and names given here and used nowhere else.
        if not isinstance(key, str) or "environment" in path[:-1] or path[0] == "name":
            continue
        changed = copy.deepcopy(document)
        holder = parent_of(changed, path)
        holder[f"{key}x"] = holder.pop(key)
        unused = len(path) == 2 and path[0] == "services" and not dependents(document, key)
        if not unused and not any(True for _ in compose_faults(changed, COMPOSE.parent)) and path != ("name",):
            missed.append(".".join(map(str, path)))
    assert missed == []


def dependents(document: dict[str, Any], service: str) -> list[str]:
    return [name for name, other in document["services"].items() if service in (other.get("depends_on") or {})]


def test_the_ray_cluster_file_passes_rays_own_schema() -> None:
    from jsonschema import ValidationError, validate
    from ray.autoscaler import __file__ as autoscaler

    schema = json.loads(Path(autoscaler).with_name("ray-schema.json").read_text())
    document = yaml.safe_load((DEPLOY / "ray/cluster-aws.yaml").read_text())
    validate(document, schema)
    for path in [("max_workers",), ("provider", "type"), ("available_node_types", "cpu", "max_workers")]:
        changed = copy.deepcopy(document)
        parent_of(changed, path)[path[-1]] = ["not", "this"]
        with pytest.raises(ValidationError):
            validate(changed, schema)
    for key in document:
        with pytest.raises(ValidationError):
            validate({**{k: v for k, v in document.items() if k != key}, f"{key}x": document[key]}, schema)
    assert document["head_node_type"] in document["available_node_types"]
    assert document["available_node_types"]["head"]["resources"] == {"CPU": 0}


def test_images_are_small_non_root_and_copy_what_there_is() -> None:
    lines = (DEPLOY / "docker/Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    known = {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "ENTRYPOINT", "CMD"}
    assert {verb for verb, _ in steps} <= known
    users = [argument for verb, argument in steps if verb == "USER"]
    assert users == ["1000:1000"]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for verb, argument in steps:
        if verb == "COPY" and not argument.startswith("--from"):
            for source in shlex.split(argument)[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored, f"{source} is kept out of the build by .dockerignore"
        if verb in {"ENTRYPOINT", "CMD"}:
            assert all(isinstance(part, str) for part in json.loads(argument))
    bases = [argument.partition("=")[2] for verb, argument in steps if verb == "ARG"]
    assert all(re.search(r":\d+\.\d+\.\d+-|@sha256:[0-9a-f]{64}$", base) for base in bases), (
        "a full version or a digest"
    )
    stages = [argument.split() for verb, argument in steps if verb == "FROM"]
    names = {words[2] for words in stages}
    assert {"cpu", "gpu"} <= names
    assert stages[-1][2] == "cpu", "what is built without --target"
    assert all(words[0] == "${PYTHON_IMAGE}" or words[0] in names for words in stages)


def test_images_and_settings_agree_everywhere() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ""} and path.is_file()}
    tags = {tag for text in texts.values() for tag in re.findall(r"\borograph:(\d[\w.]*)", text)}
    assert tags == {__version__}
    from orograph.infra.engines.environment import GDAL_ENV

    dockerfile = (DEPLOY / "docker/Dockerfile").read_text()
    for variable in ("GDAL_CACHEMAX", "GDAL_NUM_THREADS", "GDAL_DISABLE_READDIR_ON_OPEN", "PROJ_NETWORK"):
        assert f"{variable}={GDAL_ENV[variable]}" in dockerfile


def test_settings_named_in_deployments_exist() -> None:
    from orograph.pipeline.settings import RunSettings

    known = {f"OROGRAPH_{name.upper()}" for name in RunSettings.model_fields} | {"OROGRAPH_LOG"}
    used = set()
    for path in DEPLOY.rglob("*"):
        # The browser's build has variables of its own.
        if path.is_file() and "stac-browser" not in path.parts:
            used |= set(re.findall(r"\bOROGRAPH_(?!SERVICE)[A-Z0-9_]+", path.read_text()))
    assert used <= known


def test_dashboard_and_alerts_use_numbers_that_exist() -> None:
    made = set(
        re.findall(r'(?:counter|histogram|gauge)\(\s*"(\w+)"', (ROOT / "infra/reporting/telemetry.py").read_text())
    )
    assert len(made) >= 10
    dashboard = json.loads((DEPLOY / "monitoring/dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text())
    expressions += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    used = {name for expression in expressions for name in re.findall(r"ray_orograph_(\w+)", expression)}
    assert {name.removesuffix("_bucket") for name in used} <= made
    assert made <= {name.removesuffix("_bucket") for name in used}, "every number is shown somewhere"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for expression in expressions:
        assert expression.count("(") == expression.count(")")
        assert expression.count("{") == expression.count("}")

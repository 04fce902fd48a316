"""Strict offline checks of deployment files: KubeRay by its CRDs, Kubernetes by its own schemas, the rest by ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def strict(schema: Any) -> Any:
    """An OpenAPI v3 schema of a CRD as a JSON schema that refuses unknown fields."""
    if isinstance(schema, list):
        return [strict(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


@lru_cache
def crd_validator(folder: Path, kind: str) -> Draft202012Validator:
    # A megabyte of YAML: the C loader takes a second, the other ten.
    crd = yaml.load((folder / f"ray.io_{kind.lower()}s.yaml").read_text(), yaml.CSafeLoader)
    version = next(v for v in crd["spec"]["versions"] if v["name"] == "v1")
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft202012Validator(schema)


def faults(document: dict[str, Any], crds: Path) -> Iterator[str]:
    """Everything that is wrong with a Kubernetes or KubeRay manifest."""
    if not {"apiVersion", "kind"} <= set(document):
        yield "apiVersion or kind is missing"
    elif document["apiVersion"].startswith("ray.io/"):
        for error in crd_validator(crds, document["kind"]).iter_errors(document):
            yield f"{error.json_path}: {error.message[:200]}"
        if not faults_of_metadata(document):
            yield "$.metadata: name or namespace is missing"
        yield from ray_faults(document)
    else:
        yield from core_faults(document)
    yield from security_faults(document)


def faults_of_metadata(document: dict[str, Any]) -> bool:
    return bool(document.get("metadata", {}).get("name")) and set(document["metadata"]) <= {
        "name", "namespace", "labels", "annotations"
    }  # fmt: skip


def core_faults(document: dict[str, Any]) -> Iterator[str]:
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, "1.37", strict=True)
    except kubernetes_validate.ValidationError as error:
        yield str(error)[:300]
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        yield f"no such kind: {error}"


def pods(value: Any) -> Iterator[dict[str, Any]]:
    """Every pod spec in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield value
        for member in value.values():
            yield from pods(member)
    elif isinstance(value, list):
        for member in value:
            yield from pods(member)


def security_faults(document: dict[str, Any]) -> Iterator[str]:
    """What a restricted namespace would refuse, what eats a node, and secrets in plain text."""
    for pod in pods(document):
        if not (pod.get("securityContext") or {}).get("runAsNonRoot"):
            yield "a pod may run as root"
        if ((pod.get("securityContext") or {}).get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            yield "a pod without a seccomp profile"
        if "automountServiceAccountToken" not in pod:
            yield "a pod that does not say whether it gets an account token"
        volumes = {volume.get("name") for volume in pod.get("volumes", ())}
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            name = container.get("name")
            context = container.get("securityContext") or {}
            if context.get("allowPrivilegeEscalation") is not False:
                yield f"{name} may gain privileges"
            if (context.get("capabilities") or {}).get("drop") != ["ALL"]:
                yield f"{name} keeps capabilities"
            resources = container.get("resources") or {}
            if not {"cpu", "memory"} <= set(resources.get("limits") or ()):
                yield f"{name} has no limits"
            if ":" not in container.get("image", ""):
                yield f"{name} has no image tag"
            for mount in container.get("volumeMounts", ()):
                if mount.get("name") not in volumes:
                    yield f"{name} mounts {mount.get('name')}, which is no volume"
    yield from (f"a secret in plain text at {where}" for where in plain_secrets(document))


_SECRET_NAME = re.compile(r"(?i)(secret|password|token|api_?key|access_key)")


def plain_secrets(value: Any, where: str = "$") -> Iterator[str]:
    """Environment entries that look like secrets and carry a value, and Secret objects with data."""
    if isinstance(value, dict):
        if value.get("kind") == "Secret" and (value.get("data") or value.get("stringData")):
            yield where
        name = value.get("name")
        if isinstance(name, str) and _SECRET_NAME.search(name) and isinstance(value.get("value"), str):
            yield f"{where}.{name}"
        for key, member in value.items():
            by_file = str(key).endswith(("_FILE", "_PATH"))
            if str(key).isupper() and _SECRET_NAME.search(str(key)) and isinstance(member, str) and not by_file:
                yield f"{where}.{key}"
            yield from plain_secrets(member, f"{where}.{key}")
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from plain_secrets(member, f"{where}[{number}]")


def ray_faults(document: dict[str, Any]) -> Iterator[str]:
    """What KubeRay accepts but must not stand in ours."""
    import ray

    spec = document.get("spec") or {}
    cluster = (
        spec if document["kind"] == "RayCluster" else spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or {}
    )
    if cluster.get("rayVersion") != ray.__version__:
        yield f"rayVersion {cluster.get('rayVersion')} is not the pinned {ray.__version__}"
    if (cluster.get("authOptions") or {}).get("mode") != "token":
        yield "the cluster asks for no token"
    if ((cluster.get("headGroupSpec") or {}).get("rayStartParams") or {}).get("num-cpus") != "0":
        yield "tiles may run on the head"
    for group in cluster.get("workerGroupSpecs") or ():
        low, high = group.get("minReplicas"), group.get("maxReplicas")
        if not (isinstance(low, int) and isinstance(high, int) and low <= group.get("replicas", 0) <= high):
            yield f"group {group.get('groupName')} has {low} to {high} replicas"
        gpus = (group.get("rayStartParams") or {}).get("num-gpus", "0")
        for pod in pods(group):
            limits = (pod["containers"][0].get("resources") or {}).get("limits") or {}
            if str(limits.get("nvidia.com/gpu", "0")) != gpus:
                yield f"group {group.get('groupName')} tells Ray of {gpus} GPUs and Kubernetes of another number"
    if document["kind"] == "RayJob":
        if spec.get("submissionMode") not in {"HTTPMode", "K8sJobMode", "SidecarMode", "InteractiveMode"}:
            yield f"submissionMode {spec.get('submissionMode')!r}"
        if not isinstance(yaml.safe_load(spec.get("runtimeEnvYAML") or ""), dict):
            yield "runtimeEnvYAML is no mapping"
    if document["kind"] == "RayService":
        yield from serve_faults(spec.get("serveConfigV2") or "")


def serve_faults(text: str) -> Iterator[str]:
    """What Ray Serve's own schema says of a config."""
    from pydantic import ValidationError
    from ray.serve.config import AutoscalingConfig
    from ray.serve.schema import DeploymentSchema, ServeApplicationSchema, ServeDeploySchema

    def unknown(value: dict[str, Any], model: Any) -> Iterator[str]:
        # Serve's models ignore what they do not know.
        yield from (
            f"serveConfigV2: {name} is no field of {model.__name__}" for name in set(value) - set(model.model_fields)
        )

    try:
        config = yaml.safe_load(text)
        ServeDeploySchema.model_validate(config)
        yield from unknown(config, ServeDeploySchema)
        for application in config["applications"]:
            yield from unknown(application, ServeApplicationSchema)
            for deployment in application["deployments"]:
                yield from unknown(deployment, DeploymentSchema)
                scaling = deployment.get("autoscaling_config", {})
                yield from unknown(scaling, AutoscalingConfig)
                AutoscalingConfig.model_validate(scaling)
    except (ValidationError, ValueError, KeyError) as error:
        yield f"serveConfigV2: {str(error)[:200]}"


COMPOSE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["services"],
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string"},
        "services": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["image", "cap_drop", "security_opt", "restart"],
                "properties": {
                    "image": {"type": "string", "pattern": ":.+"},
                    "build": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
                    },
                    "user": {"type": "string", "pattern": "^[1-9][0-9]*:[1-9][0-9]*$"},
                    "init": {"type": "boolean"},
                    "read_only": {"type": "boolean"},
                    "cap_drop": {"const": ["ALL"]},
                    "security_opt": {"const": ["no-new-privileges:true"]},
                    "tmpfs": {"type": "array", "items": {"type": "string"}},
                    "shm_size": {"type": "string"},
                    "environment": {"type": "object", "additionalProperties": {"type": ["string", "number"]}},
                    "secrets": {"type": "array", "items": {"type": "string"}},
                    "volumes": {"type": "array", "items": {"type": "string", "pattern": "^[^:]+:/[^:]*(:ro)?$"}},
                    "ports": {"type": "array", "items": {"type": "string", "pattern": "^127\\.0\\.0\\.1:\\d+:\\d+$"}},
                    "command": {"type": "array", "items": {"type": "string"}},
                    "depends_on": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["condition"],
                            "properties": {
                                "condition": {
                                    "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                                }
                            },
                        },
                    },
                    "healthcheck": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["test", "interval", "timeout", "retries"],
                        "properties": {
                            "test": {"type": "array", "minItems": 2, "items": {"type": "string"}},
                            "interval": {"type": "string", "pattern": "^\\d+[smh]$"},
                            "timeout": {"type": "string", "pattern": "^\\d+[smh]$"},
                            "start_period": {"type": "string", "pattern": "^\\d+[smh]$"},
                            "retries": {"type": "integer", "minimum": 1},
                        },
                    },
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                },
            },
        },
        "secrets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["file"],
                "properties": {"file": {"type": "string"}},
            },
        },
        "volumes": {"type": "object", "additionalProperties": {"type": "object", "maxProperties": 0}},
    },
}


def compose_faults(document: dict[str, Any], folder: Path) -> Iterator[str]:
    """What is wrong with a compose file, references included."""
    for error in Draft202012Validator(COMPOSE).iter_errors(document):
        yield f"{error.json_path}: {error.message[:200]}"
    services = document.get("services") or {}
    for name, service in services.items():
        yield from (f"{name} {fault}" for fault in _order_faults(service, services))
        yield from (f"{name} {fault}" for fault in _file_faults(service, document, folder))
    yield from (f"a secret in plain text at {where}" for where in plain_secrets(document))


def _order_faults(service: dict[str, Any], services: dict[str, Any]) -> Iterator[str]:
    for other, wanted in (service.get("depends_on") or {}).items():
        if other not in services:
            yield f"waits for {other}, which is no service"
        elif wanted.get("condition") == "service_healthy" and "healthcheck" not in services[other]:
            yield f"waits for the health of {other}, which has no check"


def _file_faults(service: dict[str, Any], document: dict[str, Any], folder: Path) -> Iterator[str]:
    secrets = service.get("secrets") or ()
    yield from (f"uses the secret {s}, which is not there" for s in secrets if s not in (document.get("secrets") or {}))
    for value in (service.get("environment") or {}).values():
        mounted = re.fullmatch(r"/run/secrets/(.+)", str(value))
        if mounted and mounted[1] not in secrets:
            yield f"reads the secret {mounted[1]}, which is not mounted"
    for volume in service.get("volumes") or ():
        origin = volume.split(":")[0]
        made = f"mkdir -p {origin.removeprefix('./')}\n" in (folder / "secrets.sh").read_text()
        there = made or (folder / origin).exists()
        if not origin.startswith("."):
            there = origin in (document.get("volumes") or {})
        if not there:
            yield f"mounts {origin}, which is not there"
    build = service.get("build") or {}
    if build and not (folder / build.get("context", "") / build.get("dockerfile", "Dockerfile")).exists():
        yield f"is built from {build.get('dockerfile')}, which is not there"

"""The same application on Ray Serve: `serve run orograph.infra.service.deployment:service`.

Replicas share nothing but the store: job records, leases and products are there, so a replica may die at any moment and
another takes up what it had accepted. Settings are those of `orograph serve`, as variables: `OROGRAPH_SERVICE_CATALOGUE` for
`--catalogue`, `OROGRAPH_SERVICE_DATA` (a JSON list) for `--data`.
"""

from __future__ import annotations

from fastapi import FastAPI
from ray import serve

from orograph.infra.engines.environment import apply_gdal_env
from orograph.infra.service.settings import ServiceSettings

apply_gdal_env()


def application() -> FastAPI:
    """The application of one replica, by the environment's `OROGRAPH_...` and `OROGRAPH_SERVICE_...` settings."""
    from orograph.infra.service.app import create_app

    # Behind Serve's proxy the service is reached from elsewhere whatever address it binds itself.
    return create_app(ServiceSettings.with_flags(host="0.0.0.0"))  # noqa: S104 - so that keys are asked for


@serve.deployment(
    num_replicas=2,
    max_ongoing_requests=200,
    max_queued_requests=400,
    ray_actor_options={"num_cpus": 1},
    health_check_period_s=10,
    graceful_shutdown_timeout_s=20,
)
@serve.ingress(application)
class OrographService:
    """One replica of the service."""


service = OrographService.bind()  # type: ignore[attr-defined]  # made by the decorator

"""Settings of the service: addresses, authorisation and limits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from orograph.infra.service.addresses import PublicUrl
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import EnvironmentSettings

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.*-]+(:[0-9]{1,5})?")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

Overridable = Literal[
    "coregistration",
    "max_shift_m",
    "superres",
    "superres_ensemble",
    "superres_gate",
    "superres_precision",
    "bare_earth",
    "bare_earth_precision",
    "blend_width_m",
    "fill_max_m",
    "pixel_size_m",
    "target_frame",
]
_OF_THE_CATALOGUE = frozenset({"pixel_size_m", "target_frame"})
"""Changed for one tile, it no longer meets its neighbours."""


class ServiceSettings(EnvironmentSettings):
    """Settings of the service, by flag, environment (`OROGRAPH_SERVICE_...`) or default.

    Attributes:
        host, port: Address on which the service listens.
        public_url: Address under which clients find the service, such as `https://dem.example.org/terrain`, where a
            proxy serves it below a path or under another host; links start with it.
        forwarded_allow_ips: Proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are trusted: addresses or
            networks, comma-separated, `*` for all; uvicorn's `FORWARDED_ALLOW_IPS`, else this machine, when None.
        auth: `off` (loopback only), `run` (everyone reads, keys order), or `all` (keys for everything).
        catalogue: Sources that orders may name. Without it, `data` and `accept_unverified`, a published tile is made of
            its own sources, and another tile of those of the bundled catalogue.
        data: Files of sources, as `ID=PATH`.
        accept_unverified: Ids of sources whose unverified facts are accepted.
        keys_file: Hashed API keys, made by `orograph keys create`; never inside the store.
        oidc_verifier: `module:callable` that turns a bearer token into a `Principal` or None.
        allowed_hosts: Accepted Host headers; others are rejected, which prevents DNS rebinding.
        overrides: Processing settings a request may change. None means all for a service that only this machine reaches
            without keys, and otherwise all but pixel size and frame, which belong to the whole catalogue.
        base_style: URL or path of a MapLibre style that is drawn under the terrain in place of the bundled geography;
            the page may then load from the hosts that `base_style_hosts` names, such as `https://tiles.example.org`.
        base_style_hosts: Origins of that style's tiles, glyphs and sprites.
        workers: Number of tiles that run at once.
        queue_limit: Largest number of accepted jobs that wait; beyond it orders get 503.
        orders_per_minute, reads_per_minute: Rate of one caller; beyond it 429.
        max_body_bytes, max_url_bytes: Larger requests get 413 and 414.
        plan_timeout_s: Longest time a request waits for the plan of its order; after that the order is planned within
            its job.
        sync_wait_s: Longest time a synchronous order waits for its results; then the response is its job.
        plan_fresh_s: Time for which equal orders share a plan; later orders see changed sources.
        lease_s: Time without renewal after which other services take over a service's jobs.
        retention_days: Age at which finished job records are deleted.
        preview_cache_mb: Memory for rendered map tiles, MB.
        preview_threads: Number of map tiles rendered at once.
        preview_queue: Largest number of map tiles that wait; beyond it 503.
        event_streams, event_streams_per_caller: Largest number of open progress streams, in all and per caller.
        request_timeout_s: Longest time a connection may take to send a request; then 408.
        max_header_bytes: Longer headers get 431.
        max_connections: Largest number of open connections; beyond it the one that has been idle longest is closed.
    """

    model_config = SettingsConfigDict(env_prefix="OROGRAPH_SERVICE_")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    public_url: str = ""
    forwarded_allow_ips: str | None = None
    auth: Literal["off", "run", "all"] | None = None
    catalogue: Path | None = None
    data: tuple[str, ...] = ()
    accept_unverified: tuple[str, ...] = ()
    keys_file: Path = Path.home() / ".config/orograph/keys.json"
    oidc_verifier: str = ""
    allowed_hosts: tuple[str, ...] = ()
    overrides: tuple[Overridable, ...] | None = None
    base_style: str = ""
    base_style_hosts: tuple[str, ...] = ()
    workers: int = Field(default=1, ge=1, le=64)
    queue_limit: int = Field(default=200, ge=1, le=100_000)
    orders_per_minute: int = Field(default=120, ge=1)
    reads_per_minute: int = Field(default=6000, ge=1)
    max_body_bytes: int = Field(default=128 * 1024, ge=1024)
    max_url_bytes: int = Field(default=16 * 1024, ge=256)
    plan_timeout_s: float = Field(default=1.0, gt=0)
    sync_wait_s: float = Field(default=25.0, ge=0)
    plan_fresh_s: float = Field(default=10.0, ge=0)
    lease_s: float = Field(default=30.0, gt=0)
    retention_days: float = Field(default=30.0, gt=0)
    preview_cache_mb: int = Field(default=96, ge=1)
    preview_threads: int = Field(default=2, ge=1, le=64)
    preview_queue: int = Field(default=256, ge=1)
    event_streams: int = Field(default=200, ge=1)
    event_streams_per_caller: int = Field(default=20, ge=1)
    request_timeout_s: float = Field(default=10.0, gt=0)
    max_header_bytes: int = Field(default=64 * 1024, ge=4096)
    max_connections: int = Field(default=1000, ge=16)

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the service."""
        return self.host in LOOPBACK_HOSTS

    @property
    def who(self) -> Literal["off", "run", "all"]:
        """The access rule in use: by default a loopback service is open, and any other requires keys for orders."""
        return self.auth or ("off" if self.is_loopback else "run")

    @property
    def allowed_overrides(self) -> tuple[Overridable, ...]:
        """Processing settings a request may change."""
        if self.overrides is not None:
            return self.overrides
        every: tuple[Overridable, ...] = get_args(Overridable)
        return every if self.who == "off" else tuple(name for name in every if name not in _OF_THE_CATALOGUE)

    @property
    def page_hosts(self) -> tuple[str, ...]:
        """Origins other than this service that the page may load from."""
        style = urlsplit(self.base_style)
        own = (f"{style.scheme}://{style.netloc}",) if style.netloc else ()
        return tuple(dict.fromkeys((*own, *self.base_style_hosts)))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Accepted host names; empty for any."""
        if self.allowed_hosts:
            return self.allowed_hosts
        local = ("localhost", "127.0.0.1", "[::1]") if self.is_loopback else ()
        return (*local, self.public.host_name) if local and self.public.host else local

    @property
    def public(self) -> PublicUrl:
        """Parts of the public URL."""
        return PublicUrl.parse(self.public_url)

    @model_validator(mode="after")
    def _public_url_is_one(self) -> Self:
        PublicUrl.parse(self.public_url)
        return self

    @model_validator(mode="after")
    def _page_hosts_are_origins(self) -> Self:
        for host in self.page_hosts:
            if not _ORIGIN.fullmatch(host):
                raise ConfigError(
                    f"base_style_hosts: {host!r} is not an origin", remedy="write it as https://tiles.example.org"
                )
        return self

    @model_validator(mode="after")
    def _open_only_at_home(self) -> Self:
        if self.auth == "off" and not self.is_loopback:
            raise ConfigError(
                f"auth 'off' on {self.host} would let everyone order work",
                remedy="listen on 127.0.0.1, or make keys with `orograph keys create`",
            )
        return self

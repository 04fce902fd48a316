"""`orograph serve` and `orograph keys`: the service with map, search and orders, and its API keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.reporting.console import err, out, print_json
from orograph.pipeline.errors import UsageError

keys = typer.Typer(name="keys", help="API keys of the service.", no_args_is_help=True)

KeysFile = Annotated[Path | None, typer.Option("--keys-file", help="Where hashed keys are kept.")]


def serve(
    store: options.StoreUrl = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.", show_default="8080")] = None,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", help="Address clients use, such as https://dem.example.org/terrain; for links."),
    ] = None,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option("--forwarded-allow-ips", help="Proxies whose X-Forwarded-Proto and -For are believed."),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option("--auth", help="off (this machine only), run (orders need keys) or all.", show_default="off"),
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option("--catalogue", "-c", help="Sources of orders; without it and --data those each tile was made of."),
    ] = None,
    data: options.DataFiles = [],  # noqa: B006 - typer reads the default, nothing writes it
    accept_unverified: options.AcceptUnverified = [],  # noqa: B006
    engine: Annotated[str | None, typer.Option("--engine", "-e", help="local or ray.", show_default="local")] = None,
    workers: Annotated[int | None, typer.Option("--workers", "-w", help="Tiles at once.")] = None,
    grids_dir: options.GridsDir = None,
    keys_file: KeysFile = None,
    anonymous: Annotated[
        bool | None, typer.Option("--anonymous", help="Read a public bucket without credentials; orders are rejected.")
    ] = None,
) -> None:
    """Serve map, catalogue, search and orders of a store."""
    from orograph.infra.engines.environment import apply_gdal_env

    apply_gdal_env()
    import uvicorn

    from orograph.infra.service.app import create_app
    from orograph.infra.service.assemble import parts_for
    from orograph.infra.service.connections import BACKLOG, bounded_protocol
    from orograph.infra.service.logs import configure_logs
    from orograph.infra.service.settings import ServiceSettings
    from orograph.pipeline.settings import RunSettings

    settings = ServiceSettings.with_flags(
        host=host,
        port=port,
        public_url=public_url,
        forwarded_allow_ips=forwarded_allow_ips,
        auth=auth,
        catalogue=catalogue,
        data=tuple(data) or None,
        accept_unverified=tuple(accept_unverified) or None,
        workers=workers,
        keys_file=keys_file,
    )
    run = RunSettings.with_flags(store=store, engine=engine, grids_dir=grids_dir, s3_anonymous=anonymous)
    app = create_app(settings, parts_for(settings, run))
    _insist_on_free_port(settings.host, settings.port)
    configure_logs()
    err.print(f"[bold]http://{settings.host}:{settings.port}/[/]  {run.store}  (Ctrl-C stops)")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        http=bounded_protocol(settings.request_timeout_s, settings.max_header_bytes, settings.max_connections),
        backlog=BACKLOG,
        timeout_graceful_shutdown=5,
    )


def _insist_on_free_port(host: str, port: int) -> None:
    """Fail with a sentence before the server starts; uvicorn would only log and end with its own code."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", remedy="choose another --port or --host"
        ) from error


@keys.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Whose key it is.")],
    scopes: Annotated[str, typer.Option("--scopes", help="Of read, run and admin (dismiss any job).")] = "read,run",
    days: Annotated[float | None, typer.Option("--days", help="Days until it expires; default never.")] = None,
    keys_file: KeysFile = None,
) -> None:
    """Make a key and print it: only its hash is stored, so it cannot be shown again."""
    from orograph.infra.service.auth import SCOPES

    wanted = tuple(scope for scope in SCOPES if scope in scopes.split(","))
    if not wanted or set(scopes.split(",")) - set(SCOPES):
        raise UsageError(f"--scopes {scopes!r}: choose of {', '.join(SCOPES)}")
    out.print(_ring(keys_file).create(name, wanted, days), markup=False)


@keys.command(name="list")
def list_(
    keys_file: KeysFile = None, as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False
) -> None:
    """List the keys, without their secrets."""
    stored = _ring(keys_file).list()
    if as_json:
        print_json([key.model_dump(mode="json", exclude={"sha256"}) for key in stored])
        return
    for key in stored:
        until = f"until {key.expires:%Y-%m-%d}" if key.expires else "never expires"
        out.print(f"{key.id}  {','.join(key.scopes):<9} {until:<16} {key.name}", markup=False)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as listed.")], keys_file: KeysFile = None
) -> None:
    """Revoke a key."""
    if not _ring(keys_file).revoke(key_id):
        raise UsageError(f"no key {key_id}")


def _ring(keys_file: Path | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 - its class is imported late
    from orograph.infra.service.auth import KeyRing
    from orograph.infra.service.settings import ServiceSettings

    return KeyRing(ServiceSettings.with_flags(keys_file=keys_file).keys_file)

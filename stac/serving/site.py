"""A catalogue as a site: files with the right CORS headers, the search API, and STAC Browser when it is built."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import ConfigError
from orograph.stac.serving.api import search_app


def catalogue_site(store: ObjectStore, browser: Path | None = None) -> FastAPI:
    """The search API with the store's published keys below `/files` and STAC Browser below `/browser`.

    Args:
        store: The store that contains the catalogue.
        browser: Folder built by `deploy/stac-browser/build.sh`.

    Raises:
        ConfigError: the folder contains no built browser.
    """
    site = search_app(store)
    if browser is not None:
        if not (browser / "index.html").is_file():
            raise ConfigError(f"{browser} contains no built STAC Browser", remedy="run deploy/stac-browser/build.sh")
        site.mount("/browser", StaticFiles(directory=browser, html=True), name="browser")
        site.add_api_route("/browser", lambda: RedirectResponse("/browser/"), include_in_schema=False)
    return site

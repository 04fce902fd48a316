"""User-supplied weights of a run, stored under their SHA-256 so that every worker can load them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.base import Store
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.weights_uri import by_content, parted, pinned
from orograph.pipeline.errors import ModelError, ObjectExists, SourceMissing
from orograph.pipeline.settings import ProcessingSettings, RunSettings


def model_key(digest: str) -> str:
    """Key of weights in a store."""
    return f"models/{digest}.safetensors"


def named_by_content(
    processing: ProcessingSettings, settings: RunSettings
) -> tuple[ProcessingSettings, dict[str, bytes]]:
    """Return settings that name user-supplied weights by their content, and these weights by their sha256.

    Raises:
        SourceMissing: there is no file at a path or URL.
        ConfigError: a URL without a sha256.
        ModelError: the sha256 of the weights differs from the name's.
    """
    weights: dict[str, bytes] = {}
    names = {"superres": processing.superres, "bare_earth": processing.bare_earth}
    for setting, name in names.items():
        sure = pinned(name)
        href, digest = parted(sure)
        if digest is None or href == sure:
            continue
        content = (
            Fetcher(endpoint_url=settings.s3_endpoint_url).read(href) if "://" in href else Path(href).read_bytes()
        )
        if hashlib.sha256(content).hexdigest() != digest:
            raise ModelError(f"weights at {href} have another sha256 than {digest}", remedy="name the weights meant")
        weights[digest] = content
        names[setting] = by_content(digest)
    return processing.model_copy(update=names), weights


def keep_models(store: Store, weights: Mapping[str, bytes]) -> None:
    """Put weights into a store by their sha256; safe to repeat, also by concurrent workers."""
    for digest, content in weights.items():
        with contextlib.suppress(ObjectExists):
            store.put(model_key(digest), content, if_absent=True, media_type="application/octet-stream")


@dataclass(frozen=True, slots=True)
class WeightsReader:
    """Reads weights that are neither bundled nor local files: by content from memory or a store, or from a URL.

    Equal readers share the models that a process has loaded.

    Attributes:
        endpoint_url: Endpoint of S3 stores and sources.
        store: URL or path of the run's store; None without a store.
        at_hand: Weights by sha256 that are not yet in a store; ignored when readers are compared.
    """

    endpoint_url: str | None = None
    store: str | None = None
    at_hand: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, name: str) -> bytes:
        """Content of a URL or of `sha256:<hex>`.

        Raises:
            SourceMissing: there is no store, or it does not contain the weights.
        """
        if "://" in name:
            return Fetcher(endpoint_url=self.endpoint_url).read(name)
        _, digest = parted(name)
        if digest is not None and digest in self.at_hand:
            return self.at_hand[digest]
        if self.store is None or digest is None:
            raise SourceMissing(f"no store to read {name} from", remedy="name the file or URL of the weights")
        try:
            return open_store(self.store, endpoint_url=self.endpoint_url).get(model_key(digest))
        except KeyError as error:
            raise SourceMissing(
                f"the store does not contain {model_key(digest)}",
                source=name,
                remedy="plan the run again from the weights",
            ) from error


def weights_reader(settings: RunSettings) -> WeightsReader:
    """Reader of weights from URLs, without a store."""
    return WeightsReader(settings.s3_endpoint_url)


def stored_weights_reader(settings: RunSettings) -> WeightsReader:
    """Reader of the weights in a run's store."""
    return WeightsReader(settings.s3_endpoint_url, settings.store)

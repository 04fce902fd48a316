"""Orograph's science: open elevation data to harmonised terrain, free of clusters and stores."""

from orograph.pipeline.version import PROCESSING_VERSION, __version__

__all__ = ["PROCESSING_VERSION", "__version__"]

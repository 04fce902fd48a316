"""Upsampling of coarse heights: exact interpolants and networks behind one call."""

from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.resolvers import resolver, resolver_names, takes_options, takes_sensor

__all__ = ["Resolver", "resolver", "resolver_names", "takes_options", "takes_sensor"]

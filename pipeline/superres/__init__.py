"""Models: resolvers that raise resolution, from exact interpolants to trained networks, all behind one call."""

from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.resolvers import register, resolver, resolver_names, takes_options

__all__ = ["Resolver", "register", "resolver", "resolver_names", "takes_options"]

"""Models: resolvers that raise resolution, from exact interpolants to trained networks, all behind one call."""

from pipeline.models.registry import Resolver, register, resolver, resolver_names, takes_options

__all__ = ["Resolver", "register", "resolver", "resolver_names", "takes_options"]

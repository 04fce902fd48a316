"""Machines and side effects: stores, engines, the command line and the service."""

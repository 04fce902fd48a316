"""The `orograph` command, one module per command; it combines `pipeline`, `stac` and `infra`."""

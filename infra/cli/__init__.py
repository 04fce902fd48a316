"""The `orograph` command, one module a command; the composition root where science meets machines."""

"""Run jobs on local processes or Ray."""

"""Records, progress, telemetry and reports."""

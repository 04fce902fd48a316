"""Object stores: local folders and S3."""

#!/usr/bin/env bash
# Makes the compose file's secrets, once, readable by their owner only; running it again changes nothing.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets/keys
random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
for name in s3_password ray_token grafana_password; do
  [ -s "secrets/$name" ] || random > "secrets/$name"
done
[ -s secrets/s3_user ] || printf orograph > secrets/s3_user
[ -s secrets/keys/keys.json ] || printf '{}' > secrets/keys/keys.json
[ -s secrets/s3_credentials ] || printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
  "$(cat secrets/s3_user)" "$(cat secrets/s3_password)" > secrets/s3_credentials
# The containers run as user 1000, which must be able to read what is mounted.
chmod 0755 secrets secrets/keys
chmod 0644 secrets/s3_* secrets/ray_token secrets/grafana_password secrets/keys/keys.json
echo "secrets are in $(pwd)/secrets; keep them out of version control"

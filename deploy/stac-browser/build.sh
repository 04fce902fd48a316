#!/usr/bin/env bash
# Builds STAC Browser for an Orograph catalogue.
#
#   deploy/stac-browser/build.sh [FOLDER]        FOLDER: where the built pages go, deploy/stac-browser/dist by default
#
# PATH_PREFIX (default /browser/) is the path the pages are served under. Needs node 18 or newer, npm, 3 GB of memory
# and 500 MB of disk for some minutes. Every package is pinned with its hash by package-lock.json: the newest ol-stac
# that STAC Browser 4.0.1 accepts does not work with the OpenLayers it asks for.
set -euo pipefail

version=4.0.1
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/dist}
prefix=${PATH_PREFIX:-/browser/}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
npm pack --silent "@radiantearth/stac-browser@$version" >/dev/null
tar xzf radiantearth-stac-browser-*.tgz
cd package
cp "$here/package-lock.json" "$here/basemaps.config.js" .
# Settings are read when the page opens, so one build serves every catalogue.
sed -i 's|<!-- <script defer="defer" src="/config.js"></script> -->|<script src="<%= BASE_URL %>config.js"></script>|' \
  public/index.html
grep -q 'BASE_URL' public/index.html
cp "$here/config.js" public/config.js
npm ci --ignore-scripts --no-audit --no-fund
NODE_OPTIONS=--max-old-space-size=3000 npx vue-cli-service build --noSourceMaps \
  --pathPrefix "$prefix" --historyMode hash --catalogTitle "Orograph catalogue"

mkdir -p "$target"
cp -r dist/. "$target/"
echo "built into $target; serve it under $prefix and put the catalogue's address into $target/config.js"

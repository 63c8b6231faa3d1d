#!/bin/sh
# Fetches the packages of lib/web/static/vendor/versions.json from npm, in the versions that stand there, puts their files beside it and notes the sums
# anew. Usage: vendor.sh
set -eu
dir=$(cd "$(dirname "$0")/.." && pwd)/lib/web/static/vendor
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
jq -r '.[] | "\(.package)@\(.version)"' "$dir/versions.json" | while read -r package; do
	npm pack --silent "$package" >/dev/null
done
for archive in *.tgz; do
	tar xzf "$archive" && mv package "${archive%.tgz}"
done
jq -r '.[].files | keys[]' "$dir/versions.json" | while read -r file; do
	find . -name "$file" | sort | tail -n 1 | xargs -I{} cp {} "$dir/$file"
done
packages=$(jq -c '.[]' "$dir/versions.json" | while read -r p; do
	name=$(printf %s "$p" | jq -r '"\(.package)@\(.version)"')
	integrity=$(npm view "$name" dist.integrity)
	files=$(printf %s "$p" | jq -r '.files | keys[]' | while read -r f; do
		printf '{"%s":"%s"}' "$f" "$(sha256sum "$dir/$f" | cut -d ' ' -f 1)"
	done | jq -s add)
	printf %s "$p" | jq --arg i "$integrity" --argjson f "$files" '.integrity = $i | .files = $f'
done | jq -s .)
printf '%s\n' "$packages" >"$dir/versions.json"

#!/bin/sh
# Makes the passwords docker-compose.yml reads, each once, as files beside this script that git ignores.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# Only root and its owner may enter the folder; the files themselves are read by the containers' own users.
chmod 0700 secrets
for name in milepost_clickhouse_password milepost_clickhouse_reader_password grafana_admin_password; do
    [ -s "secrets/$name" ] && continue
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"secrets/$name.new"
    chmod 0444 "secrets/$name.new"
    mv "secrets/$name.new" "secrets/$name"
    echo "made deploy/docker/secrets/$name"
done

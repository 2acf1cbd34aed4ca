#!/bin/bash
# Starts mongod as a replica set of one node that asks for passwords; `healthcheck.js` initiates the set.
set -eu

# The image makes this root user when the data folder is still empty.
export MONGO_INITDB_ROOT_USERNAME=$MONGO_USER MONGO_INITDB_ROOT_PASSWORD=$MONGO_PASSWORD

# Members of a set know each other by a key file. The only member of this one may have a new key at each start.
key_file=/tmp/keyfile
rm -f "$key_file"
(umask 0277 && head -c 756 /dev/urandom | base64 --wrap=0 > "$key_file")

exec docker-entrypoint.sh mongod \
    --quiet \
    --bind_ip_all \
    --replSet rs0 \
    --keyFile "$key_file" \
    --wiredTigerCacheSizeGB 1 \
    "$@"

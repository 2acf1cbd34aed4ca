#!/bin/sh
# Starts redis-server with the password of .env, which so stands in no command line, and with every write on disk.
set -eu

quoted_password=$(printf '%s' "$REDIS_PASSWORD" | sed 's/[\\"]/\\&/g')
(
    umask 0077
    cat > /tmp/redis.conf <<CONF
requirepass "$quoted_password"
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
CONF
)
exec docker-entrypoint.sh redis-server /tmp/redis.conf "$@"

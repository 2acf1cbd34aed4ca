#!/bin/sh
# Fails while a password in .env is missing or still the placeholder of env_example.

status=0
for name in MONGO_PASSWORD REDIS_PASSWORD; do
    eval "password=\${$name:-}"
    case "$password" in
        "" | change-me)
            echo "$name in .env is ${password:-empty}: choose a password of your own and start again." >&2
            status=1
            ;;
    esac
done
exit $status

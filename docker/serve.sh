#!/bin/sh
# Serve the library in $QUARTET_LIBRARY on port 8000. While nothing has been indexed there, serve the demo library
# of the image, and change over when something has.
set -eu

# docker-compose.yml publishes the port on the host's loopback alone. Nobody else reaches it then, so no key is
# asked for; the names are for the pages of other sites that have theirs mean 127.0.0.1.
case "${QUARTET_PUBLISH:-}" in
127.* | localhost:* | '[::1]'*)
    if [ -z "${QUARTET_API_KEY:-}${QUARTET_API_KEY_FILE:-}" ]; then
        export QUARTET_ALLOW_NO_KEY="${QUARTET_ALLOW_NO_KEY:-1}"
        export QUARTET_ALLOWED_HOSTS="${QUARTET_ALLOWED_HOSTS:-localhost,127.0.0.1,::1,service,service-gpu}"
    fi
    ;;
esac

# A library is made empty, as generation 000001; the first run of the indexer that ends publishes 000002.
indexed() {
    [ -e "$QUARTET_LIBRARY/CURRENT" ] && [ "$(cat "$QUARTET_LIBRARY/CURRENT")" != 000001 ]
}

stopped=
if ! indexed; then
    echo "Nothing is indexed in $QUARTET_LIBRARY yet. This is the demo library."
    QUARTET_LIBRARY=/demo/library QUARTET_MODEL=demo QUARTET_MILVUS='' quartet serve --host 0.0.0.0 --port 8000 &
    demo=$!
    trap 'stopped=yes; kill -TERM $demo 2>/dev/null || true' INT TERM
    while ! indexed && kill -0 $demo 2>/dev/null; do
        sleep 1 &
        wait $! || true
    done
    if [ -n "$stopped" ]; then
        wait $demo || true
        exit 0
    fi
    # Unless it has ended by itself: then with its exit code.
    kill -0 $demo 2>/dev/null || wait $demo
    echo "$QUARTET_LIBRARY has been indexed. The service now uses it."
    kill -TERM $demo 2>/dev/null || true
    wait $demo || true
    trap - INT TERM
fi
exec quartet serve --host 0.0.0.0 --port 8000

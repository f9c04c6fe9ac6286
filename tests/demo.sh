#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# make demo: migrates a live guest with a device from one VMM process to another, and shows the proof.
set -eu
stopcopy=$1
set -- migrate --device test:queues=2,memory=16M,window=1M --vcpus 2 --at-ops 20000
printf 'Running: stopcopy %s\n\n' "$*"
exec "$stopcopy" "$@"

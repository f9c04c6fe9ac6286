#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What edu writes by DMA is known from its driver's log alone: without it pages are lost, and that is found; where all pages
# go after the stop nothing is lost.
# LAB_TIMEOUT: 500
. /lab/lib.sh
module edu_migration || skip_all "there is no edu_migration.ko"
# shellcheck disable=SC2046
set -- $(edu_devices)
for address in "$@"; do check "$address is bound" bind edu_migration "$address"; done
migrate="stopcopy migrate --mode pre-copy --memory 32M --vcpus 1 --device vfio:$1,to=vfio:$2 --workload edu --at-ops 3
    --report json:$scratch/report.json"

# Whether the write that is lost is after the last round is chance, so there are several tries.
found=0 tries=0
while [ $found -eq 0 ] && [ $tries -lt 10 ]; do
    tries=$((tries + 1))
    # shellcheck disable=SC2086
    timeout 100 $migrate --repeat 2 --seed $tries --max-downtime 1ms --max-rounds $((4 + tries)) \
        --fault log-ignored >"$scratch/out" 2>"$scratch/err"
    status=$?
    found=$(grep -c '"ram/page-differs"' "$scratch/report.json")
done
check "the log is ignored: the pages that were lost are found" [ "$found" -ge 1 ]
check "the log is ignored: it is a FAIL" [ $status -eq 1 ]

# shellcheck disable=SC2086
expect 0 "all pages go after the stop" $migrate --dirty-log all-pages
expect_json '.verdict == "pass"'
for address in "$@"; do unbind "$address"; done
finish

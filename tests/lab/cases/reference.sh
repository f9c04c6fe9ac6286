#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# LAB_MACHINE: plain
# The reference device on this machine's KVM.
. /lab/lib.sh
report=$scratch/report.json

for vcpus in 1 2; do
    expect 0 "run with $vcpus vCPUs" stopcopy run --memory 64M --vcpus $vcpus --device test:queues=2,memory=4M,window=1M \
        --ops 300 --report text --report "json:$report" &&
        expect_json '.verdict == "pass" and .guest.digest == .guest.digest_expected'
done
finish

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# --order: the destination does to a device what QEMU or cloud-hypervisor do, in their order, and the guest goes on all the same.
. "${top_srcdir:-.}/tests/e2e/lib.sh"
require_kvm
require_program jq
cd "$scratch" || exit 1

# What was done to the destination's device, from RESUMING to RUNNING, in short.
way() {
    jq -r 'select(.side == "destination") | if .op == "feature" and (.says | test("SET (RESUMING|STOP|RUNNING|RUNNING_P2P)$")) then
            (.says | sub(".* "; "")) elif .op == "session_write" then "data" elif .op == "session_close" then "close"
            elif .op == "set_irqs" then "irqs" elif .op == "region_write" and .region == 7 then "config" else empty end' log |
        sed -n '/^RESUMING$/,/^RUNNING$/p' | uniq | tr '\n' ' '
}
move() { # move ORDER WANTED-WAY: only of the first times that each is done
    expect 0 "the order of $1" "$stopcopy" migrate --device test:memory=1M,features=stop-copy+p2p+pre-copy --memory 64M --at-ops 300 \
        --mode pre-copy --order "$1" --uapi-log log --report json:report.json
    expect_json '.verdict == "pass"'
    way | grep -qE "^$2 \$" || fail "$name: $(way)"
}
move stopcopy 'RESUMING data close STOP( irqs| config)+ RUNNING_P2P( irqs| config)* RUNNING'
move qemu 'RESUMING data( irqs| config)+ close( irqs| config)* RUNNING_P2P( irqs| config)* RUNNING'
move cloud-hypervisor 'RESUMING data close( irqs| config)+ RUNNING'

# QEMU asks for RESUMING before any RAM comes, the others when the device's first data does.
for order in qemu cloud-hypervisor; do
    expect 1 "$order, kept" "$stopcopy" migrate --device test:memory=1M --memory 64M --at-ops 300 --order $order --limit-downtime 1ns \
        --report json:report.json
    jq '[.legs[0].devices[0].arcs[] | select(.to == "RESUMING") | .start_ns][0] < ([.legs[0].phases[] | select(.name == "load") | .start_ns][0])' \
        report.json >before
    case $order in
    qemu) [ "$(cat before)" = true ] || fail "$name: RESUMING came after the first RAM" ;;
    *) [ "$(cat before)" = false ] || fail "$name: RESUMING came before RAM" ;;
    esac
done

# A device that refuses its stream late is the destination's failure there, and not where STOP was asked for.
expect 2 "no such order" "$stopcopy" migrate --device test --order xen
expect_error "none of stopcopy, qemu and cloud-hypervisor" 3
expect_nothing_left
finish

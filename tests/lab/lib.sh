# SPDX-License-Identifier: GPL-2.0-or-later
# What the lab's cases share. A case is a sh script that runs as root inside the lab: it sources this, says `ok`, `not_ok`
# or `skip` of each thing that it looks at, and ends with `finish`. Its head may have
#
#   # LAB_MACHINE: NAME    the file of tests/lab/machines that says what QEMU builds (iommu)
#   # LAB_TIMEOUT: N       seconds that it may take (120)
#
# The kernel must have nothing to complain of meanwhile, but for a case that says `expect_complaint`.
# shellcheck shell=sh
set -u
scratch=$(mktemp -d /tmp/case.XXXXXX)
failures=0
filters='' filter_count=0
mtty=/sys/devices/virtual/mtty/mtty
vfio_pci=/sys/bus/pci/drivers/vfio-pci

ok() { echo "ok - $*"; }
not_ok() { echo "not ok - $*"; failures=$((failures + 1)); }
note() { echo "# $*"; }
# skip WHAT WHY: it could not be looked at here.
skip() { echo "ok - $1 # SKIP $2"; }
# check WHAT COMMAND...: it succeeds.
check() {
    what=$1
    shift
    if "$@" >"$scratch/check" 2>&1; then ok "$what"; else not_ok "$what"; sed 's/^/# | /' "$scratch/check" | tail -n 20; fi
}
finish() { look_at_json; rm -rf "$scratch"; [ "$failures" -eq 0 ]; exit $?; }
# skip_all WHY: the whole case.
skip_all() { skip "$LAB_CASE" "$*"; exit 0; }
expect_complaint() { touch /tmp/expects-complaint; }

# wait_for WHAT COMMAND...: until it is true, 30 seconds at most.
wait_for() {
    waited=0 waited_for=$1
    shift
    until "$@" >/dev/null 2>&1; do
        waited=$((waited + 1))
        [ "$waited" -lt 600 ] || { not_ok "waited in vain for $waited_for"; return 1; }
        usleep 50000
    done
}

# expect STATUS WHAT COMMAND...: the command's exit status; its output is in $scratch/out and $scratch/err.
expect() {
    wanted=$1 name=$2
    shift 2
    timeout 200 "$@" >"$scratch/out" 2>"$scratch/err"
    status=$?
    if [ "$status" -eq "$wanted" ]; then
        ok "$name"
    else
        not_ok "$name: status $status where $wanted was due: $*"
        tail -n 60 "$scratch/out" | sed 's/^/# | /'
        tail -n 20 "$scratch/err" | sed 's/^/# ! /'
        return 1
    fi
}

# expect_error TEXT: the last command said it, in one line on standard error.
expect_error() {
    if grep -qF -- "$1" "$scratch/err" && [ "$(wc -l <"$scratch/err")" -eq 1 ]; then
        ok "$name: says '$1' in one line"
    else
        not_ok "$name: says '$1' in one line"
        sed 's/^/# ! /' "$scratch/err"
    fi
}

# expect_json FILTER: the report of the last command, in $scratch/report.json, has it. `finish` says so, of all of them: to start
# jq takes it longer here than most else.
expect_json() {
    filter_count=$((filter_count + 1))
    filters="$filters${filters:+, }(input | [try ($1) catch false] | last // false)"
    echo "$name: $1" >>"$scratch/filters"
    cp "$scratch/report.json" "$scratch/json.$filter_count" 2>/dev/null
    [ -s "$scratch/json.$filter_count" ] || echo null >"$scratch/json.$filter_count"
}
look_at_json() {
    [ $filter_count -gt 0 ] || return
    files='' number=0
    while [ $number -lt $filter_count ]; do number=$((number + 1)) files="$files $scratch/json.$number"; done
    # shellcheck disable=SC2086
    jq -nc "$filters" $files >"$scratch/verdicts" 2>"$scratch/jq" || not_ok "the reports can be looked at: $(cat "$scratch/jq")"
    number=0
    while read -r said; do
        number=$((number + 1))
        verdict=$(sed -n ${number}p "$scratch/verdicts")
        case $verdict in
        '' | false | null)
            not_ok "$said"
            jq -c '{verdict, status, outcome, findings, not_proven}' "$scratch/json.$number" | sed 's/^/# | /'
            ;;
        *) ok "$said" ;;
        esac
    done <"$scratch/filters"
}

# mtty_create UUID [TYPE]: makes an mdev of mtty's; mtty-2 has two ports.
mtty_create() {
    echo "$1" >"$mtty/mdev_supported_types/${2:-mtty-2}/create" || return 1
    wait_for "mdev $1" [ -e "/sys/bus/mdev/devices/$1" ]
}
mtty_remove() {
    [ ! -e "/sys/bus/mdev/devices/$1" ] || echo 1 >"/sys/bus/mdev/devices/$1/remove"
}
# cdev_of SYSFS-DEVICE: the name of its VFIO character device, vfio0 say. group_of: the number of its group.
cdev_of() { ls "$1/vfio-dev" 2>/dev/null | head -n 1; }
group_of() { basename "$(readlink "$1/iommu_group")"; }

# edu_devices: the addresses of QEMU's edu devices.
edu_devices() {
    for device in /sys/bus/pci/devices/*; do
        [ "$(cat "$device/vendor" "$device/device" | tr -d '\n')" = 0x12340x11e8 ] && basename "$device"
    done
}
# bind DRIVER ADDRESS: gives the device to the driver, from whichever has it now. unbind ADDRESS: to none.
bind() {
    unbind "$2"
    echo "$1" >"/sys/bus/pci/devices/$2/driver_override"
    echo "$2" >/sys/bus/pci/drivers_probe
    [ "$(basename "$(readlink "/sys/bus/pci/devices/$2/driver")")" = "$1" ]
}
unbind() {
    [ ! -e "/sys/bus/pci/devices/$1/driver" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
}
# module NAME: is loaded, or is now; false where the lab was made without it.
module() {
    [ -e "/sys/module/$1" ] || { [ -f "/lib/modules/$1.ko" ] && insmod "/lib/modules/$1.ko"; }
}

# checked KNOWN DEVICE [STATUS]: stopcopy check, with bad streams as well, in which only rules that the file of that name in
# tests/lab/known has may be broken. A kernel that spins on it is not asked for STOP_COPY to PRE_COPY
# (docs/interoperability.md). It is to pass, or to end with STATUS.
checked() {
    known=$1 device=$2
    began=$(cut -d. -f1 /proc/uptime)
    timeout 150 stopcopy check --time-limit 45s --hazard all --skip fsm/stop-copy-to-pre-copy-refused --known "/lab/known/$known" --report text \
        --report "json:$scratch/report.json" "$device" >"$scratch/out" 2>"$scratch/err"
    status=$?
    note "$known: $(($(cut -d. -f1 /proc/uptime) - began)) s, status $status"
    grep -E '^(FAIL|should|observed|known)' "$scratch/out" | sed "s/^/# $known: /"
    sed -n '/^INCOMPLETE/,$p' "$scratch/out" | sed 's/^/# /'
    note "$(jq -c '[.checks[] | [(.ns / 1000000 | floor), .rule]] | sort | .[-8:]' "$scratch/report.json")"
    case $status in
    "${3:-0}" | 0) ok "$known breaks no rule but those that are known" ;;
    *) not_ok "$known breaks no rule but those that are known: status $status"; sed 's/^/# ! /' "$scratch/err" "$scratch/out" ;;
    esac
}

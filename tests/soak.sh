#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make soak SOAK_TIME=1h SOAK_SEED=N: migrations of all modes, with all devices and loads, of which some are killed, frozen or
# held at random steps, until the time is over; each by the seed that it prints, so that it can be run again alone:
#
#   tests/soak.sh BUILD --one SEED
#
# BUILD/soak/state has where it stands: the next call goes on there. Ends at the first run that came out otherwise than
# documented, or that left something behind (a process, a socket, a file, memory, a descriptor), with what it left in
# BUILD/soak/.
set -u
build=$(cd "${1:-.}" && pwd) || exit 2
stopcopy=$build/stopcopy
work=$build/soak
mkdir -p "$work"

say() { printf '%s %s\n' "$(date +%T)" "$*"; }

# A number below $1, of the seed's own sequence.
pick() {
    state=$(((state * 1103515245 + 12345) & 0x7fffffff))
    picked=$(((state >> 8) % $1))
}
one_of() {
    pick $#
    shift "$picked"
    word=$1
}

# What a run may leave nothing of: stray processes of ours, memfds of dead ones (kB of shared memory), files in use.
resources() {
    printf '%s %s %s\n' "$(pgrep -c -f "^$build/stopcopy" || true)" \
        "$(awk '/^Shmem:/ { print $2 }' /proc/meminfo)" "$(cut -f 1 /proc/sys/fs/file-nr)"
}

# The words of the run of a seed, and what is done to it.
plan() {
    state=$1
    pick 1000
    one_of stop-copy pre-copy && mode=$word
    one_of unix tcp && channel=$word
    one_of copy copy share && ram=$word
    one_of 64K 1M 4M && memory=$word
    one_of 1 2 4 && queues=$word
    one_of "" "--device test:model=uart,features=stop-copy+p2p+pre-copy" && second=$word
    one_of 1 2 && vcpus=$word
    one_of 1 1 2 3 && repeat=$word
    one_of "" "--workload dma --workload memory,size=8M" "--workload dma --workload cpu" && load=$word
    one_of split full && irqchip=$word
    one_of none none none kill freeze hold && harm=$word
    one_of source destination && side=$word
    [ "$ram" != share ] || channel=unix
    words="--memory 64M --vcpus $vcpus --mode $mode --channel $channel --ram $ram --irqchip $irqchip --repeat $repeat --seed $1 \
--at-ops 300 --device test:memory=$memory,queues=$queues,features=stop-copy+p2p+pre-copy $second $load"
    [ "$irqchip" = split ] && [ -n "$second" ] && words=${words/--irqchip split/--irqchip full}
    case $side in
    source) one_of pause devices-stop-copy ram device-data commit ;;
    destination) one_of prepare verify ;;
    esac
    step=$side/$word
    case $harm in
    kill) words="$words --timeout 5s --arc-timeout 5s --at '$step:kill -KILL \$STOPCOPY_${side^^}_PID'" ;;
    freeze) words="$words --timeout 5s --arc-timeout 5s --at '$step:kill -STOP \$STOPCOPY_${side^^}_PID'" ;;
    hold) words="$words --hold-at $step --hold-limit 200ms" ;;
    esac
}

# Runs it: 0 where it came out as it may.
run() {
    seed=$1
    plan "$seed"
    eval "timeout 300 \"$stopcopy\" migrate $words --report json:$work/report.json" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    case $harm in
    none | hold) [ "$status" -eq 0 ] || [ "$status" -eq 7 ] ;;
    # One end is gone: the guest is intact on the source, or nowhere, or nobody can know; never two.
    *) case $status in 0 | 3 | 5 | 6 | 7) true ;; *) false ;; esac ;;
    esac
}

if [ "${2-}" = --one ]; then
    run "$3"
    result=$?
    echo "seed $3: status $status: $stopcopy migrate $words"
    cat "$work/err"
    exit $result
fi

time=${SOAK_TIME:-10min}
case $time in
*h) limit=$((${time%h} * 3600)) ;;
*min) limit=$((${time%min} * 60)) ;;
*s) limit=${time%s} ;;
*) limit=$time ;;
esac
first=${SOAK_SEED:-1} seed=$first
[ -z "${SOAK_SEED-}" ] && [ -f "$work/state" ] && read -r seed <"$work/state" && say "going on with seed $seed ($work/state)"
end=$(($(date +%s) + limit))
count=0
run "$seed" # what is loaded once is loaded
read -r processes shared files <<<"$(resources)"
while [ "$(date +%s)" -lt "$end" ]; do
    if ! run "$seed"; then
        say "seed $seed: status $status is not documented for '$harm': $work; again: $0 $build --one $seed"
        echo "$words"
        cat "$work/err"
        exit 1
    fi
    count=$((count + 1))
    read -r now_processes now_shared now_files <<<"$(resources)"
    # Servers of a process that was killed end by themselves.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$now_processes" -le "$processes" ] && break
        sleep 0.2
        read -r now_processes now_shared now_files <<<"$(resources)"
    done
    if [ "$now_processes" -gt "$processes" ]; then
        say "seed $seed: $((now_processes - processes)) processes are left behind"
        pgrep -a -f "^$build/stopcopy"
        exit 1
    fi
    # Others work on this host, too: what grows for good is what counts.
    if [ "$now_shared" -gt $((shared + 1048576)) ] || [ "$now_files" -gt $((files + 20000)) ]; then
        say "seed $seed: shared memory went from $shared to $now_shared KiB, open files from $files to $now_files"
        exit 1
    fi
    seed=$((seed + 1))
    echo "$seed" >"$work/state"
    [ $((count % 20)) -ne 0 ] || say "$count runs, seed $seed, shared memory $now_shared KiB, open files $now_files"
done
say "$count runs from seed $first, none of which came out otherwise than documented; the next call goes on with seed $seed"

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a switchover costs: one table, and JSON for keeping. docs/bench.md says what each row is.

What is compared is measured in turn within one run (A, B, A, B, ...), so that a host that is slow for a while is so for both. A row
has the median, the quartiles, and the number of runs; a limit of the project that a row stands for is met or missed."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import qemu  # noqa: E402

LIMIT_S = 300
# What was not proven is not the matter here.
INCOMPLETE = 7


class Bench:
    def __init__(self, options):
        self.quick = options.quick
        self.only = options.only
        self.build = pathlib.Path(options.builddir).resolve()
        self.scratch = tempfile.TemporaryDirectory()
        self.rows = []
        self.failures = []

    def path(self, name):
        return str(self.build / name)

    def wanted(self, item):
        return not self.only or item in self.only

    def count(self, quick, full):
        return quick if self.quick else full

    # --- the programs -------------------------------------------------------------------------------------------------

    def run(self, command, may_fail=0):
        """Output and status; what fails is said, and leaves out its row only."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.failures.append(f'{" ".join(command)}: not done within {LIMIT_S} s')
            return None
        if done.returncode not in (0, may_fail):
            self.failures.append(f'{" ".join(command)}: status {done.returncode}: {done.stderr.strip()[-300:]}')
            return None
        return done.stdout

    def migrate(self, *arguments, verify='off'):
        """The report of `stopcopy migrate`, or None."""
        report = os.path.join(self.scratch.name, 'report.json')
        if os.path.exists(report):
            os.unlink(report)
        command = [self.path('stopcopy'), 'migrate', '--verify', verify, '--stop-hold', '0', *map(str, arguments),
                   '--report', f'json:{report}']
        if self.run(command, may_fail=INCOMPLETE) is None:
            return None
        with open(report, encoding='utf-8') as file:
            return json.load(file)

    def legs(self, *arguments, runs, verify='off'):
        report = self.migrate('--repeat', runs, *arguments, verify=verify)
        return report['legs'] if report else []

    def floor(self, *arguments, runs):
        out = self.run([self.path('tests/bench/floor'), '--image', self.path('guest/stopcopy-guest.elf'),
                        '--device-program', self.path('stopcopy-device'), '--runs', str(runs), *map(str, arguments)])
        pairs = [line.split() for line in (out or '').splitlines()]
        return [(int(down) / 1e3, int(black) / 1e3) for down, black in pairs]

    # --- the table ----------------------------------------------------------------------------------------------------

    def row(self, item, name, values, unit, limit=None, ratio_to=None, at_least=False, note=None):
        """A row of the table. limit: of the median, or of its ratio to the row ratio_to."""
        values = sorted(value for value in values if value is not None)
        if not values:
            self.rows.append({'item': item, 'name': name, 'unit': unit, 'runs': 0, 'note': note or 'no result'})
            return self.rows[-1]
        quarter = len(values) // 4
        row = {'item': item, 'name': name, 'unit': unit, 'runs': len(values), 'median': statistics.median(values),
               'q1': values[quarter], 'q3': values[-1 - quarter], 'min': values[0], 'max': values[-1]}
        measured = row['median']
        if ratio_to and ratio_to.get('median'):
            row['ratio'] = measured = row['median'] / ratio_to['median']
            row['ratio_to'] = ratio_to['name']
        elif ratio_to:
            limit = None
        if limit is not None:
            row['limit'] = limit
            row['met'] = measured >= limit if at_least else measured <= limit
        if note:
            row['note'] = note
        self.rows.append(row)
        self.show(row)
        return row

    @staticmethod
    def number(value):
        return f'{value:.3g}' if value < 100 else f'{value:.0f}'

    def show(self, row):
        if not row['runs']:
            print(f'  {row["item"]}  {row["name"]:<58} {row["note"]}', flush=True)
            return
        text = (f'  {row["item"]}  {row["name"]:<58} {self.number(row["median"]):>8} {row["unit"]:<5} '
                f'[{self.number(row["q1"])} .. {self.number(row["q3"])}] x{row["runs"]}')
        if 'ratio' in row:
            text += f'  {row["ratio"]:.2f} of {row["ratio_to"]}'
        if 'limit' in row:
            text += f'  (limit {row["limit"]}: {"met" if row["met"] else "MISSED"})'
        if 'note' in row:
            text += f'  {row["note"]}'
        print(text, flush=True)

    # --- the items ----------------------------------------------------------------------------------------------------

    def in_turn(self, rounds, *measures):
        """Lists of what each measure gave, called in turn."""
        results = [[] for _ in measures]
        for _ in range(rounds):
            for result, measure in zip(results, measures):
                result += measure()
        return results

    SHARE = ('--ram', 'share', '--at-ops', 300)
    CLOCK = ('--workload', 'clock')
    DMA = ('--workload', 'clock', '--workload', 'dma', '--device', 'test:memory=1M')

    def downtimes(self, *arguments, runs=5):
        return [(leg['downtime_ns'] / 1e3, (leg['blackout_ns'] or 0) / 1e3) for leg in self.legs(*arguments, runs=runs)]

    def blackout(self):
        rounds = self.count(2, 10)
        for name, guest, floor in (('no device', self.CLOCK, ()), ('one device', self.DMA, ('--device', 'test:memory=1M'))):
            ours, bare = self.in_turn(rounds,
                                      lambda: self.downtimes(*self.SHARE, '--vcpus', 1, *guest),
                                      lambda: self.floor('--vcpus', 1, '--memory', 256, '--at-ops', 300, *floor, runs=5))
            base = self.row(1, f'floor, {name}: pause to resume', [down for down, _ in bare], 'us')
            self.row(1, f'--ram share, {name}: pause to resume', [down for down, _ in ours], 'us', 1.3, base)
            base = self.row(1, f'floor, {name}: as the guest saw it', [black for _, black in bare if black], 'us')
            self.row(1, f'--ram share, {name}: as the guest saw it', [black for _, black in ours if black], 'us',
                     ratio_to=base)

    def sizes(self):
        rounds = self.count(1, 6)
        memories = ('256M', '4G') if self.quick else ('256M', '4G', '16G')
        results = self.in_turn(rounds, *[lambda memory=memory: self.downtimes(*self.SHARE, '--vcpus', 1, *self.CLOCK, '--memory', memory)
                                         for memory in memories])
        base = None
        for memory, result in zip(memories, results):
            row = self.row(2, f'--ram share, {memory}: pause to resume', [down for down, _ in result], 'us',
                           1.2 if base else None, base)
            base = base or row
        vcpus = (1, 2, 4)
        results = self.in_turn(rounds, *[lambda count=count: self.downtimes(*self.SHARE, '--vcpus', count, *self.CLOCK)
                                         for count in vcpus])
        base = None
        for count, result in zip(vcpus, results):
            row = self.row(2, f'--ram share, {count} vCPUs: pause to resume', [down for down, _ in result], 'us',
                           2.5 if count == 4 else None, base)
            base = base or row

    def raw(self, kind, *arguments):
        out = self.run([self.path('tests/bench/rate'), kind, '--mib', '512', *arguments])
        return [float(line) / 1e9 for line in (out or '').splitlines()]

    def ram_rate(self, channel):
        """RAM that holds data: the memory workload has written to all of its working set before the stop."""
        report = self.migrate('--channel', channel, '--vcpus', 1, '--memory', '768M', '--workload', 'memory,size=512M,rate=8G',
                              '--at-ops', 140000)
        if not report:
            return []
        phase = [phase for phase in report['legs'][0]['phases'] if phase['name'] == 'ram'][0]
        return [phase['bytes'] / (phase['end_ns'] - phase['start_ns'])]

    def device_rate(self, channel):
        report = self.migrate('--channel', channel, '--vcpus', 1, *self.CLOCK, '--at-ops', 300, '--device', 'test:memory=1G',
                              '--workload', 'dma')
        if not report:
            return []
        phase = [phase for phase in report['legs'][0]['phases'] if phase['name'] == 'device-state'][0]
        return [phase['bytes'] / (phase['end_ns'] - phase['start_ns'])]

    def rates(self):
        for channel in ('unix', 'tcp'):
            measures = [lambda: self.raw(channel), lambda: self.raw(channel, '--one-buffer'), lambda: self.ram_rate(channel)]
            raw, buffer, ram = self.in_turn(self.count(1, 7), *measures)
            base = self.row(3, f'raw {channel} socket, into new memory', raw, 'GB/s')
            self.row(3, f'raw {channel} socket, into one buffer', buffer, 'GB/s')
            self.row(3, f'RAM with data over {channel}', ram, 'GB/s', 0.85, base, at_least=True)

    def precopy(self):
        for rate in ('0', '100M', '1000M'):
            totals, downs, ratios = [], [], []
            work = ('--workload', 'clock') if rate == '0' else ('--workload', 'clock', '--workload', f'memory,size=64M,rate={rate}')
            for _ in range(self.count(1, 10)):
                report = self.migrate('--mode', 'pre-copy', '--max-downtime', '20ms', '--memory', '1G', '--vcpus', 1, *work,
                                      '--at-ops', 1000)
                if not report:
                    continue
                leg = report['legs'][0]
                totals.append(leg['total_ns'] / 1e6)
                downs.append(leg['downtime_ns'] / 1e6)
                ratios.append(leg['ram']['bytes'] / (1 << 30))
            self.row(4, f'pre-copy, 1 GiB, {rate} a second: total', totals, 'ms')
            self.row(4, f'pre-copy, 1 GiB, {rate} a second: downtime', downs, 'ms', 5 if rate == '100M' else None)
            if rate == '100M' and downs:
                self.row(4, 'the same: the longest, at --max-downtime 20ms', [max(downs)], 'ms', 20)
            self.row(4, f'pre-copy, 1 GiB, {rate} a second: bytes sent over RAM', ratios, '')

    def devices(self):
        counts = (1, 8) if self.quick else (1, 2, 4, 8)

        def measure(count):
            devices = ['--device', 'test:memory=64K,queues=1,latency=1ms'] * count
            return [down for down, _ in self.downtimes(*self.SHARE, '--vcpus', 1, '--workload', 'clock', *devices, runs=3)]

        results = self.in_turn(self.count(1, 5), *[lambda count=count: measure(count) for count in counts])
        base = None
        for count, result in zip(counts, results):
            row = self.row(5, f'--ram share, {count} devices: pause to resume', result, 'us', 2 if count == 8 else None, base)
            base = base or row

    def cold(self):
        times, resident = [], []
        for _ in range(self.count(3, 15)):
            first = self.cold_start()
            if first:
                times.append(first[0])
                resident.append(first[1])
        self.row(6, 'exec to the first guest instruction, 128 MiB', times, 'ms', 3)
        self.row(6, "resident beyond the guest's memory", resident, 'MiB', 4)

    def cold_start(self):
        """exec to the phase "boot"'s end by the report's clock; the resident memory while the guest works."""
        report = os.path.join(self.scratch.name, 'run.json')
        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        process = subprocess.Popen([self.path('stopcopy'), 'run', '--memory', '128M', '--vcpus', '1', '--workload', 'cpu',
                                    '--ops', '30000', '--report', f'json:{report}'], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        resident = 0
        while process.poll() is None:
            try:
                with open(f'/proc/{process.pid}/status', encoding='ascii') as status:
                    values = dict(line.split(':', 1) for line in status)
                resident = max(resident, int(values['RssAnon'].split()[0]) + int(values['RssFile'].split()[0]))
            except (OSError, KeyError):
                break
            time.sleep(0.005)
        process.wait()
        if process.returncode:
            self.failures.append(f'stopcopy run: status {process.returncode}')
            return None
        with open(report, encoding='utf-8') as file:
            phases = json.load(file)['phases']
        boot = [phase for phase in phases if phase['name'] == 'boot'][0]
        return ((boot['end_ns'] - start) / 1e6, resident / 1024)

    def beside_qemu(self):
        guest = self.path('guest/stopcopy-guest.elf')
        why = qemu.missing()
        if why:
            self.rows.append({'item': 7, 'name': 'QEMU', 'unit': '', 'runs': 0, 'note': why})
            self.show(self.rows[-1])
            return

        def share():
            result = qemu.migrate(guest, self.scratch.name, '256M', 'share')
            return [result] if result else []

        def copy():
            result = qemu.migrate(guest, self.scratch.name, '1G', 'unix')
            return [result] if result else []

        def ours():
            return self.downtimes(*self.SHARE, '--vcpus', 1, *self.CLOCK, runs=3)

        theirs, mine = self.in_turn(self.count(2, 7), share, ours)
        base = self.row(7, f'{qemu.version()}, x-ignore-shared: downtime by its own count', [r['downtime_ms'] * 1e3 for r in theirs], 'us')
        stopped = self.row(7, 'the same: from STOP to RESUME, by its events', [r['stopped_us'] for r in theirs], 'us')
        self.row(7, '--ram share, no device, in turn: pause to resume', [down for down, _ in mine], 'us', 0.4,
                 stopped if stopped.get('median') else base)
        theirs, mine = self.in_turn(self.count(1, 5), copy, lambda: self.ram_rate('unix'))
        base = self.row(7, f'{qemu.version()}, unix socket: RAM', [r['rate'] for r in theirs if r.get('rate')], 'GB/s')
        self.row(7, 'RAM with data over unix, in turn', mine, 'GB/s', 2, base, at_least=True)

    def all(self):
        items = (('blackout', self.blackout), ('sizes', self.sizes), ('rates', self.rates), ('precopy', self.precopy),
                 ('devices', self.devices), ('cold', self.cold), ('qemu', self.beside_qemu))
        print(f'{"quick" if self.quick else "full"} run on {os.uname().release}, {os.cpu_count()} CPUs; median [quartiles] xruns')
        for name, item in items:
            if self.wanted(name):
                item()
        for failure in self.failures:
            print(f'  failed: {failure}')
        missed = [row for row in self.rows if row.get('met') is False]
        print(f'{len(self.rows)} rows; limits: {sum(row.get("met") is True for row in self.rows)} met, {len(missed)} missed')

    def save(self, name):
        with open(name, 'w', encoding='utf-8') as file:
            json.dump({'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime()), 'kernel': os.uname().release,
                       'cpus': os.cpu_count(), 'quick': self.quick, 'rows': self.rows, 'failures': self.failures}, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description='Measures what a switchover costs (docs/bench.md).')
    parser.add_argument('--builddir', default='.', help='where stopcopy was built')
    parser.add_argument('--quick', action='store_true', help='few runs, about a minute')
    parser.add_argument('--json', help='write the numbers to this file')
    parser.add_argument('only', nargs='*', help='blackout, sizes, rates, precopy, devices, cold, qemu (all of them)')
    options = parser.parse_args()
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        print('/dev/kvm cannot be used')
        return 77
    bench = Bench(options)
    bench.all()
    if options.json:
        bench.save(options.json)
    return 1 if bench.failures else 0


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's live migration of the same guest image on this host, by QMP: microvm with qboot and no passed-through device."""
import json
import os
import shutil
import socket
import subprocess
import time

PROGRAM = 'qemu-system-x86_64'
LIMIT_S = 60


def missing():
    """Why nothing can be measured, or None."""
    if not shutil.which(PROGRAM):
        return f'{PROGRAM} is not installed'
    return None


def version():
    words = subprocess.run([PROGRAM, '--version'], capture_output=True, text=True).stdout.split()
    return 'QEMU ' + words[3] if len(words) > 3 else 'QEMU'


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT_S)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.lines = self.socket.makefile('r', encoding='utf-8')
        self.events = []
        self.lines.readline()
        self.call('qmp_capabilities')

    def answer(self):
        """The next answer; events on the way are kept."""
        while True:
            line = self.lines.readline()
            if not line:
                raise OSError('QEMU has closed its monitor')
            message = json.loads(line)
            if 'event' not in message:
                return message
            self.events.append(message)

    def call(self, command, **arguments):
        self.socket.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode() + b'\n')
        answer = self.answer()
        if 'error' in answer:
            raise OSError(f'{command}: {answer["error"]["desc"]}')
        return answer['return']

    def event_us(self, name):
        times = [event['timestamp'] for event in self.events if event['event'] == name]
        return times[-1]['seconds'] * 1000000 + times[-1]['microseconds'] if times else None


def start(guest, folder, name, memory, ram, shared, incoming):
    monitor = os.path.join(folder, f'{name}.qmp')
    if os.path.exists(monitor):
        os.unlink(monitor)
    work = 'seed=1 ops=1000000000 vcpus=1 workloads=memory,clock'
    command = [PROGRAM, '-machine', 'microvm,memory-backend=ram,pit=on,pic=on,rtc=on', '-bios', 'qboot.rom', '-accel', 'kvm',
               '-cpu', 'host,-arch-capabilities', '-smp', '1', '-m', memory, '-nodefaults', '-no-user-config', '-display', 'none',
               '-object', f'memory-backend-file,id=ram,size={memory},mem-path={ram},share={"on" if shared else "off"}',
               '-serial', f'file:{os.path.join(folder, name)}.serial', '-qmp', f'unix:{monitor},server=on,wait=off',
               '-kernel', guest, '-append', work]
    if incoming:
        command += ['-incoming', 'defer']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return process, monitor


def stop(process):
    if process and process.poll() is None:
        process.kill()
    if process:
        process.wait()


def migrate(guest, folder, memory, how):
    """One migration: downtime_ms by QEMU's own count, stopped_us between its events, total_ms, rate in GB/s. None with why."""
    socket_path = os.path.join(folder, 'move')
    ram = '/dev/shm/stopcopy-bench-ram'
    processes = []
    try:
        for path in (socket_path, ram, ram + '.to'):
            if os.path.exists(path):
                os.unlink(path)
        process, path = start(guest, folder, 'from', memory, ram, how == 'share', False)
        processes.append(process)
        source = Monitor(path)
        process, path = start(guest, folder, 'to', memory, ram if how == 'share' else ram + '.to', how == 'share', True)
        processes.append(process)
        destination = Monitor(path)
        time.sleep(1)
        for monitor in (source, destination):
            if how == 'share':
                monitor.call('migrate-set-capabilities', capabilities=[{'capability': 'x-ignore-shared', 'state': True}])
            monitor.call('migrate-set-capabilities', capabilities=[{'capability': 'events', 'state': True}])
        source.call('migrate-set-parameters', **{'max-bandwidth': 0 if how == 'share' else 1 << 40, 'downtime-limit': 20})
        destination.call('migrate-incoming', uri=f'unix:{socket_path}')
        source.call('migrate', uri=f'unix:{socket_path}')
        deadline = time.monotonic() + LIMIT_S
        while True:
            result = source.call('query-migrate')
            if result.get('status') in ('completed', 'failed', 'cancelled') or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if result.get('status') != 'completed':
            return None
        destination.call('query-status')
        stopped, resumed = source.event_us('STOP'), destination.event_us('RESUME')
        total = result.get('total-time', 0)
        sent = result.get('ram', {}).get('transferred', 0)
        return {'downtime_ms': result.get('downtime', 0), 'total_ms': total,
                'stopped_us': resumed - stopped if stopped and resumed else None,
                'rate': sent / (total * 1e6) if total and sent > 1 << 26 else None}
    except OSError as error:
        print(f'  QEMU: {error}')
        return None
    finally:
        for process in processes:
            stop(process)
        for path in (ram, ram + '.to'):
            if os.path.exists(path):
                os.unlink(path)

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/boot/calibrate.h"
#include "guest/base/port.h"
#include "guest/base/processor.h"
#include "guest/kernel/gate.h"

/* The 8254's counter 2, whose gate and output are in port 0x61. */
#define PIT_HZ 1193182u
#define PIT_COUNTER2 0x42
#define PIT_COMMAND 0x43
#define PIT_COUNTER2_MODE0 0xb0
#define PORT_B 0x61
#define PORT_B_GATE2 0x01
#define PORT_B_SPEAKER 0x02
#define PORT_B_OUTPUT2 0x20
#define PIT_COUNT 59659u /* 50 ms */
#define TURNS_MAX 100000000u

static int wait_for_pit(void)
{
    uint8_t port_b = (uint8_t)((port_read8(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE2);

    port_write8(PORT_B, port_b);
    port_write8(PIT_COMMAND, PIT_COUNTER2_MODE0);
    port_write8(PIT_COUNTER2, PIT_COUNT & 0xff);
    port_write8(PIT_COUNTER2, PIT_COUNT >> 8);
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        if (port_read8(PORT_B) & PORT_B_OUTPUT2)
            return 0;
    }
    return -1;
}

int calibrate(struct config *config)
{
    uint64_t start, cycles, count;

    if (config->tsc_hz && config->apic_timer_hz)
        return 0;
    gate_call(GATE_START_TIMER, UINT32_MAX, 0, 0);
    start = tsc_read();
    if (wait_for_pit() < 0)
        return config_fail(config, "no PIT to measure the clocks by, and nobody told their rates");
    cycles = tsc_read() - start;
    count = UINT32_MAX - gate_call(GATE_READ_TIMER, 0, 0, 0);
    gate_call(GATE_START_TIMER, 0, 0, 0);
    if (!config->tsc_hz)
        config->tsc_hz = scale(cycles, PIT_HZ, PIT_COUNT);
    if (!config->apic_timer_hz)
        config->apic_timer_hz = scale(count, PIT_HZ, PIT_COUNT);
    return 0;
}

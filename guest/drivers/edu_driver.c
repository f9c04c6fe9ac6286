/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/drivers/edu_driver.h"

#define LIVENESS_TEST 0x5aa5c33cu

static uint32_t read_register(struct edu_device *device, uint32_t offset)
{
    return device->access.ops->read32(device->access.context, EDU_BAR, offset);
}

static void write_register(struct edu_device *device, uint32_t offset, uint32_t value)
{
    device->access.ops->write32(device->access.context, EDU_BAR, offset, value);
}

static int expect(struct edu_device *device, uint32_t offset, uint32_t expected, const char *text,
                  struct driver_fault *fault)
{
    uint32_t seen = read_register(device, offset);

    return seen == expected ? 0 : driver_fault(fault, "guest/driver", text, expected, seen);
}

static int check_identity(struct edu_device *device, struct driver_fault *fault)
{
    uint32_t identification = read_register(device, EDU_REG_IDENTIFICATION);

    if ((identification & EDU_IDENTIFICATION_MASK) != EDU_IDENTIFICATION || identification == UINT32_MAX)
        return driver_fault(fault, "guest/driver", "the identification register", EDU_IDENTIFICATION, identification);
    return 0;
}

/* Nothing is waited for here, so that a device at work is a fault. */
static int check_rest(struct edu_device *device, struct driver_fault *fault)
{
    uint32_t command = read_register(device, EDU_REG_DMA_COMMAND);

    if (command & EDU_DMA_RUN)
        return driver_fault(fault, "guest/driver", "a transfer runs that nobody began: the DMA command register", 0,
                            command);
    write_register(device, EDU_REG_STATUS, 0);
    if (expect(device, EDU_REG_STATUS, 0, "the status register of a device at rest", fault) < 0)
        return -1;
    write_register(device, EDU_REG_INTERRUPT_ACKNOWLEDGE, UINT32_MAX);
    return expect(device, EDU_REG_INTERRUPT_STATUS, 0, "the interrupt status after all was acknowledged", fault);
}

int edu_device_open(struct edu_device *device, struct device_access access, struct driver_fault *fault)
{
    *device = (struct edu_device){.access = access};
    if (check_identity(device, fault) < 0 || check_rest(device, fault) < 0)
        return -1;
    edu_liveness_write(device, LIVENESS_TEST);
    if (expect(device, EDU_REG_LIVENESS, LIVENESS_TEST, "the liveness register", fault) < 0)
        return -1;
    edu_liveness_write(device, 0);
    write_register(device, EDU_REG_STATUS, EDU_STATUS_INTERRUPT);
    if (expect(device, EDU_REG_STATUS, EDU_STATUS_INTERRUPT, "the status register", fault) < 0)
        return -1;
    device->interrupts = access.ops->interrupts(access.context, 0);
    return 0;
}

static uint32_t command_of(const struct edu_transfer *transfer)
{
    return EDU_DMA_INTERRUPT | (transfer->to_ram ? EDU_DMA_TO_RAM : 0);
}

static uint32_t source_of(const struct edu_transfer *transfer)
{
    return transfer->to_ram ? EDU_BUFFER + transfer->place : (uint32_t)transfer->address;
}

static uint32_t destination_of(const struct edu_transfer *transfer)
{
    return transfer->to_ram ? (uint32_t)transfer->address : EDU_BUFFER + transfer->place;
}

int edu_transfer_begin(struct edu_device *device, const struct edu_transfer *transfer, struct driver_fault *fault)
{
    if (transfer->length == 0 || transfer->length >= EDU_BUFFER_SIZE ||
        transfer->place >= EDU_BUFFER_SIZE - transfer->length)
        return driver_fault(fault, "guest/driver", "a transfer that does not end before the buffer does",
                            EDU_BUFFER_SIZE, (uint64_t)transfer->place + transfer->length);
    if (transfer->address >= EDU_ADDRESS_LIMIT || EDU_ADDRESS_LIMIT - transfer->address < transfer->length)
        return driver_fault(fault, "guest/driver", "a transfer to RAM that the device's 28 bits do not reach",
                            EDU_ADDRESS_LIMIT, transfer->address);
    device->transfer = *transfer;
    device->waiting = false;
    device->under_way |= EDU_INTERRUPT_DMA;
    write_register(device, EDU_REG_DMA_SOURCE, source_of(transfer));
    write_register(device, EDU_REG_DMA_DESTINATION, destination_of(transfer));
    write_register(device, EDU_REG_DMA_COUNT, transfer->length);
    write_register(device, EDU_REG_DMA_COMMAND, command_of(transfer) | EDU_DMA_RUN);
    return 0;
}

void edu_factorial_begin(struct edu_device *device, uint32_t n)
{
    device->waiting = false;
    device->under_way |= EDU_INTERRUPT_FACTORIAL;
    write_register(device, EDU_REG_FACTORIAL, n);
}

/* What was written is still there when the transfer is over, also where the device is another one by now. */
static int end_transfer(struct edu_device *device, struct driver_fault *fault)
{
    const struct edu_transfer *transfer = &device->transfer;

    if (expect(device, EDU_REG_DMA_COMMAND, command_of(transfer), "the DMA command register after a transfer", fault) <
            0 ||
        expect(device, EDU_REG_DMA_SOURCE, source_of(transfer), "the DMA source register after a transfer", fault) <
            0 ||
        expect(device, EDU_REG_DMA_DESTINATION, destination_of(transfer),
               "the DMA destination register after a transfer", fault) < 0)
        return -1;
    return expect(device, EDU_REG_DMA_COUNT, transfer->length, "the DMA count register after a transfer", fault);
}

static int end_factorial(struct edu_device *device, struct driver_fault *fault)
{
    device->factorial = read_register(device, EDU_REG_FACTORIAL);
    return expect(device, EDU_REG_STATUS, EDU_STATUS_INTERRUPT, "the status register after a factorial", fault);
}

static int serve(struct edu_device *device, uint32_t status, struct driver_fault *fault)
{
    if (status & ~device->under_way)
        return driver_fault(fault, "guest/driver", "an interrupt for what was not begun: the interrupt status",
                            device->under_way, status);
    write_register(device, EDU_REG_INTERRUPT_ACKNOWLEDGE, status);
    device->served++;
    device->waiting = false;
    device->under_way &= ~status;
    if ((status & EDU_INTERRUPT_DMA) && end_transfer(device, fault) < 0)
        return -1;
    return status & EDU_INTERRUPT_FACTORIAL ? end_factorial(device, fault) : 0;
}

/* What of that which is under way is over, as the registers have it. */
static uint32_t find_over(struct edu_device *device)
{
    uint32_t over = 0;

    if ((device->under_way & EDU_INTERRUPT_DMA) && !(read_register(device, EDU_REG_DMA_COMMAND) & EDU_DMA_RUN))
        over |= EDU_INTERRUPT_DMA;
    if ((device->under_way & EDU_INTERRUPT_FACTORIAL) &&
        !(read_register(device, EDU_REG_STATUS) & EDU_STATUS_COMPUTING))
        over |= EDU_INTERRUPT_FACTORIAL;
    return over;
}

/* No interrupt came. The registers are read now and then alone: each read is an exit of the vCPU. */
static int watch(struct edu_device *device, uint64_t now, struct driver_fault *fault)
{
    uint32_t over;

    if (!device->waiting) {
        device->waiting = true;
        device->since = now;
        device->look_at = now + EDU_LOOK_NS;
        device->over_since = 0;
    }
    if (now < device->look_at)
        return 0;
    device->look_at = now + EDU_LOOK_NS;
    over = find_over(device);
    if (!over && now - device->since < EDU_STUCK_NS)
        return 0;
    if (!over)
        return driver_fault(fault, "guest/operation-stuck", "a transfer or a factorial was not over after 10 s", 0,
                            device->under_way);
    if (!device->over_since)
        device->over_since = now;
    if (now - device->over_since < EDU_INTERRUPT_LOST_NS)
        return 0;
    return driver_fault(fault, "guest/interrupt-lost", "a transfer or a factorial was over for 6 s, with no interrupt",
                        over, 0);
}

int edu_poll(struct edu_device *device, uint64_t now, struct driver_fault *fault)
{
    const struct device_access *access = &device->access;
    uint64_t count = access->ops->interrupts(access->context, 0);
    int result = 0;
    uint32_t status;

    if (count == device->interrupts)
        return device->under_way ? watch(device, now, fault) : 1;
    device->interrupts = count;
    status = read_register(device, EDU_REG_INTERRUPT_STATUS);
    if (status)
        result = serve(device, status, fault);
    else
        device->spurious++;
    access->ops->interrupt_end(access->context);
    return result < 0 ? -1 : !device->under_way;
}

uint32_t edu_liveness_read(struct edu_device *device)
{
    return read_register(device, EDU_REG_LIVENESS);
}

void edu_liveness_write(struct edu_device *device, uint32_t value)
{
    write_register(device, EDU_REG_LIVENESS, ~value);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int dma_read(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, void *data, size_t size)
{
    (void)purpose;
    if (iova > TEST_HOST_MEMORY || size > TEST_HOST_MEMORY - iova)
        return EFAULT;
    memcpy(data, ((struct test_host *)host)->memory + iova, size);
    return 0;
}

static int dma_write(struct device_host *host, enum device_dma_purpose purpose, uint64_t iova, const void *data,
                     size_t size)
{
    (void)purpose;
    if (iova > TEST_HOST_MEMORY || size > TEST_HOST_MEMORY - iova)
        return EFAULT;
    memcpy(((struct test_host *)host)->memory + iova, data, size);
    return 0;
}

static bool dma_reaches_peer(struct device_host *host, uint64_t iova, uint64_t size)
{
    const struct test_host *test = (const struct test_host *)host;

    return iova < test->peer_start + test->peer_size && iova + size > test->peer_start && test->peer_size;
}

static unsigned int irq_count(struct device_host *host, unsigned int index)
{
    (void)host;
    return index == VFIO_PCI_MSIX_IRQ_INDEX;
}

static bool irq_raise(struct device_host *host, unsigned int index, unsigned int vector)
{
    (void)index, (void)vector;
    ((struct test_host *)host)->raised++;
    return true;
}

static void irq_level(struct device_host *host, bool asserted)
{
    (void)host, (void)asserted;
}

static void set_timer(struct device_host *host, uint64_t at_ns)
{
    ((struct test_host *)host)->timer_at_ns = at_ns;
}

static void was_reset(struct device_host *host)
{
    ((struct test_host *)host)->resets++;
}

static const struct device_host_ops ops = {
    .dma_read = dma_read,
    .dma_write = dma_write,
    .dma_reaches_peer = dma_reaches_peer,
    .irq_count = irq_count,
    .irq_raise = irq_raise,
    .irq_level = irq_level,
    .set_timer = set_timer,
    .was_reset = was_reset,
};

void test_host_init(struct test_host *host)
{
    memset(host, 0, sizeof(*host));
    host->host.ops = &ops;
}

struct device_options test_device_options(void)
{
    struct device_options options;

    device_options_defaults(&options);
    options.queues = 1;
    options.memory_size = 8192;
    options.window_size = 4096;
    options.latency_ns = 0;
    return options;
}

struct device *test_device_new(struct test_host *host, const struct device_options *options)
{
    struct error error = ERROR_INIT;
    struct device *device = device_model_find("dma")->create(options, &host->host, &error);

    cr_assert_not_null(device, "%s", error.text);
    return device;
}

uint8_t *test_device_read_all(struct device *device, size_t *size)
{
    uint8_t *data = NULL;
    enum device_data result;
    size_t count;

    *size = 0;
    do {
        data = realloc(data, *size + 65536);
        cr_assert_not_null(data);
        result = device_data_read(device, data + *size, 65536, &count);
        *size += count;
    } while (result == DEVICE_DATA);
    cr_assert_eq(result, DEVICE_DATA_END);
    return data;
}

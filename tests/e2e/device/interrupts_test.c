/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interrupts: the device raises them, SET_IRQS says where they go. */
#include "config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static const char *const plain[] = {"--memory", "1M", NULL};

static void start(struct client *client)
{
    client_start(client, plain);
    client_negotiate(client);
}

static void expect_alive(struct client *client)
{
    cr_expect_eq(client_read32(client, 0, DMA_REG_MAGIC), DMA_MAGIC);
}

static void start_at_work(struct client *client)
{
    start(client);
    client_map(client, false);
    client_bus_master(client, true);
}

Test(interrupts, one_interrupt_at_a_time_with_its_number)
{
    struct client client;
    struct client_queue queue;
    int fd;

    start_at_work(&client);
    fd = client_trigger(&client, MSIX, 1);
    client_queue_start(&queue, &client, 0, 8, 1);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_assert_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_expect_eq(client_queue_shared(&queue)->interrupt_sequence, 1);
    /* Not acknowledged, so the next two raise none, */
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_read32(&client, 0, DMA_REG_STATUS);
    cr_expect_eq(client_event_count(fd, 0), 0);
    /* a wrong acknowledgement is counted, */
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4, 2);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 1);
    cr_expect_eq(client_event_count(fd, 0), 0);
    /* and the right one raises the next at once, for both. */
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4, 1);
    cr_expect_eq(client_event_count(fd, 0), 1);
    cr_expect_eq(client_queue_shared(&queue)->interrupt_sequence, 2);
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4, 2);
    cr_expect_eq(client_event_count(fd, 0), 0);
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE + 4, 2);
    cr_expect_eq(client_read32(&client, 0, DMA_REG_ACKNOWLEDGE_ERRORS), 2);
    close(fd);
    client_stop(&client);
}

Test(interrupts, an_interrupt_without_trigger_is_pending)
{
    struct client client;
    struct client_queue queue;
    uint8_t pending;
    int fd;

    start_at_work(&client);
    client_queue_start(&queue, &client, 0, 8, 1);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_assert_eq(client_region_read(&client, DMA_BAR_MSIX, DMA_MSIX_PBA_OFFSET, &pending, 1), 0);
    cr_expect_eq(pending, 2);
    fd = client_trigger(&client, MSIX, 1);
    cr_expect_eq(client_event_count(fd, 0), 1);
    cr_assert_eq(client_region_read(&client, DMA_BAR_MSIX, DMA_MSIX_PBA_OFFSET, &pending, 1), 0);
    cr_expect_eq(pending, 0);
    close(fd);
    client_stop(&client);
}

Test(interrupts, a_masked_interrupt_comes_when_unmasked)
{
    struct client client;
    struct client_queue queue;
    int fd;

    start_at_work(&client);
    fd = client_trigger(&client, MSIX, 0);
    cr_assert_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, MSIX, 0, 1, NULL, 0, NULL, 0), 0);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    client_read32(&client, 0, DMA_REG_STATUS);
    cr_expect_eq(client_event_count(fd, 0), 0);
    cr_assert_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, MSIX, 0, 1, NULL, 0, NULL, 0), 0);
    cr_expect_eq(client_event_count(fd, 0), 1);
    close(fd);
    client_stop(&client);
}

Test(interrupts, msi_instead_of_msix)
{
    struct client client;
    struct client_queue queue;
    int fd;

    start_at_work(&client);
    fd = client_trigger(&client, VFIO_PCI_MSI_IRQ_INDEX, 0);
    client_queue_start(&queue, &client, 0, 8, 1);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    close(fd);
    client_stop(&client);
}

/* Level triggered: signalled and masked by itself, again on each unmask while it is asserted. */
Test(interrupts, intx_masks_itself)
{
    struct client client;
    struct client_queue queue;
    const uint64_t one = 1;
    uint16_t status;
    int fd, unmask;

    start_at_work(&client);
    fd = client_trigger(&client, VFIO_PCI_INTX_IRQ_INDEX, 0);
    unmask = eventfd(0, EFD_CLOEXEC);
    cr_assert_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
                                 VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL, 0, &unmask, 1),
                 0);
    client_queue_start(&queue, &client, 0, 8, 0);
    client_run(&queue, (struct dma_descriptor){.opcode = DMA_OP_NOP});
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 6, &status, sizeof(status)), 0);
    cr_expect(status & 0x8);
    cr_expect_eq(client_event_count(fd, 0), 0);
    cr_assert_eq(write(unmask, &one, sizeof(one)), (ssize_t)sizeof(one));
    cr_expect_eq(client_event_count(fd, CLIENT_TIMEOUT_MS), 1);
    client_write32(&client, 0, DMA_PAGE_ACKNOWLEDGE, 1);
    cr_assert_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, VFIO_PCI_INTX_IRQ_INDEX,
                                 0, 1, NULL, 0, NULL, 0),
                 0);
    cr_expect_eq(client_event_count(fd, 0), 0);
    cr_assert_eq(client_region_read(&client, VFIO_PCI_CONFIG_REGION_INDEX, 6, &status, sizeof(status)), 0);
    cr_expect_not(status & 0x8);
    client_stop(&client);
}

Test(interrupts, set_irqs_that_are_refused)
{
    const uint32_t event = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    const uint32_t none = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    const uint8_t bools[2] = {1, 1};
    struct client client;
    int fds[3] = {eventfd(0, 0), eventfd(0, 0), eventfd(0, 0)};

    start(&client);
    cr_expect_eq(client_set_irqs(&client, event, 2, 2, 1, NULL, 0, fds, 1), EINVAL, "past the last vector");
    cr_expect_eq(client_set_irqs(&client, event, 2, 1, 2, NULL, 0, fds, 2), EINVAL);
    cr_expect_eq(client_set_irqs(&client, event, 2, 0xffffffff, 2, NULL, 0, fds, 2), EINVAL);
    cr_expect_eq(client_set_irqs(&client, event, 2, 0, 2, NULL, 0, fds, 1), EINVAL, "too few descriptors");
    cr_expect_eq(client_set_irqs(&client, event, 2, 0, 1, NULL, 0, fds, 2), EINVAL, "too many");
    cr_expect_eq(client_set_irqs(&client, event, 5, 0, 1, NULL, 0, fds, 1), EINVAL, "no such index");
    cr_expect_eq(client_set_irqs(&client, VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
    cr_expect_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
    cr_expect_eq(client_set_irqs(&client, 0x3f, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
    cr_expect_eq(client_set_irqs(&client, none | 0x100, 2, 0, 1, NULL, 0, NULL, 0), EINVAL);
    cr_expect_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 2, bools, 1, NULL, 0),
        EINVAL);
    cr_expect_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 2, 0, 0, NULL, 0, NULL, 0),
                 EINVAL);
    cr_expect_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, VFIO_PCI_REQ_IRQ_INDEX, 0,
                                 1, NULL, 0, NULL, 0),
                 EINVAL);
    expect_alive(&client);
    client_stop(&client);
}

Test(interrupts, set_irqs_set_trigger_and_disable)
{
    const uint32_t event = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    const uint32_t none = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
    const int32_t places[2] = {-1, 0};
    const uint8_t second[2] = {0, 1};
    struct client client;
    int fds[2] = {eventfd(0, 0), eventfd(0, 0)};

    start(&client);
    cr_assert_eq(client_set_irqs(&client, event, 2, 0, 2, NULL, 0, fds, 2), 0);
    cr_assert_eq(client_set_irqs(&client, none, 2, 0, 2, NULL, 0, NULL, 0), 0);
    cr_expect_eq(client_event_count(fds[0], 0), 1);
    cr_expect_eq(client_event_count(fds[1], 0), 1);
    cr_assert_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 2, second, 2, NULL, 0), 0);
    cr_expect_eq(client_event_count(fds[0], 0), 0);
    cr_expect_eq(client_event_count(fds[1], 0), 1);
    /* The first one away, the second one anew. */
    cr_assert_eq(client_set_irqs(&client, event, 2, 0, 2, places, sizeof(places), fds, 1), 0);
    cr_assert_eq(client_set_irqs(&client, none, 2, 0, 2, NULL, 0, NULL, 0), 0);
    cr_expect_eq(client_event_count(fds[0], 0), 1);
    cr_expect_eq(client_event_count(fds[1], 0), 0);
    /* No descriptors: away. */
    cr_assert_eq(client_set_irqs(&client, event, 2, 0, 2, NULL, 0, NULL, 0), 0);
    cr_assert_eq(client_set_irqs(&client, none, 2, 0, 2, NULL, 0, NULL, 0), 0);
    cr_expect_eq(client_event_count(fds[0], 0), 0);
    cr_assert_eq(client_set_irqs(&client, event, 2, 0, 2, NULL, 0, fds, 2), 0);
    cr_assert_eq(client_set_irqs(&client, none, 2, 0, 0, NULL, 0, NULL, 0), 0);
    cr_assert_eq(client_set_irqs(&client, none, 2, 0, 2, NULL, 0, NULL, 0), 0);
    cr_expect_eq(client_event_count(fds[0], 0), 0);
    client_stop(&client);
}

/* An eventfd that is full, and something that is none: the server does not wait for either. */
Test(interrupts, triggers_that_block)
{
    const uint64_t full = UINT64_MAX - 1;
    struct client client;
    int fd, pipes[2];

    start(&client);
    fd = client_trigger(&client, VFIO_PCI_MSIX_IRQ_INDEX, 0);
    cr_assert_eq(write(fd, &full, sizeof(full)), (ssize_t)sizeof(full));
    cr_assert_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, NULL, 0, NULL, 0), 0);
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(client_set_irqs(&client, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, NULL, 0,
                                 &pipes[0], 1),
                 0);
    cr_assert_eq(
        client_set_irqs(&client, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, NULL, 0, NULL, 0), 0);
    expect_alive(&client);
    client_stop(&client);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server that stops answering, that leaks, or that takes what it must refuse. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "devices/faults/command.h"

struct answer_fault {
    struct device_layer layer;
    int arc; /* -1: any command counts */
    bool hung;
    struct fault_trigger trigger;
};

/* Is this command one that counts? */
static bool concerns(const struct answer_fault *fault, const struct device_command *command)
{
    unsigned int to;

    if (fault->arc < 0)
        return command->number == VFIO_USER_REGION_READ || command->number == VFIO_USER_REGION_WRITE;
    return command_sets_state(command, &to) && to == (unsigned int)fault->arc;
}

/* Once it hangs it answers nothing any more. */
static int hang(struct device *device, struct device_command *command)
{
    struct answer_fault *fault = (struct answer_fault *)device;

    fault->hung |= concerns(fault, command) && fault_trigger_strikes(&fault->trigger);
    command->unanswered = fault->hung;
    return fault->hung ? 0 : device_command(device->next, command);
}

static int accept_unmap(struct device *device, struct device_command *command)
{
    int failed = device_command(device->next, command);

    return failed == ENOENT && command->number == VFIO_USER_DMA_UNMAP ? command_accept(command) : failed;
}

/* A descriptor stays open for every save. */
static int leak(struct device *device, struct device_command *command)
{
    unsigned int to;

    if (command_sets_state(command, &to) && to == VFIO_DEVICE_STATE_STOP_COPY &&
        fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0) < 0)
        return EMFILE;
    return device_command(device->next, command);
}

/* As a crash: the process ends. */
static int end_on_empty_write(struct device *device, struct device_command *command)
{
    if (command->number == VFIO_USER_MIG_DATA_WRITE && command->size == sizeof(struct vfio_user_migration_data))
        _exit(1);
    return device_command(device->next, command);
}

static const struct device_ops hang_down = {.destroy = fault_layer_destroy, .command = hang};
static const struct device_ops unmap_down = {.destroy = fault_layer_destroy, .command = accept_unmap};
static const struct device_ops leak_down = {.destroy = fault_layer_destroy, .command = leak};
static const struct device_ops empty_down = {.destroy = fault_layer_destroy, .command = end_on_empty_write};
static const struct device_host_ops up = {.dma_read = NULL};

static struct device_layer *create(const struct fault_request *request, struct error *error)
{
    static const struct device_ops *const downs[] = {&hang_down, &hang_down, &unmap_down, &leak_down, &empty_down};
    struct answer_fault *fault = fault_layer_new(sizeof(*fault), downs[request->kind->variant], &up, error);

    if (!fault)
        return NULL;
    fault->arc = request->arc >= 0 ? request->arc : VFIO_DEVICE_STATE_STOP_COPY;
    if (request->kind->variant == 1)
        fault->arc = -1;
    fault->trigger = fault_trigger_from(request, request->kind->variant == 1 ? 4 : 1);
    return &fault->layer;
}

const struct fault_kind fault_answer_kinds[] = {
    {"arc-unanswered", create, 0},   {"access-unanswered", create, 1},   {"unmap-of-nothing-accepted", create, 2},
    {"descriptors-leak", create, 3}, {"empty-write-crashes", create, 4}, {0},
};

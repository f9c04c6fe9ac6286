/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/boot/config.h"
#include "guest/base/text.h"

#define APIC_ID_MAX 254u

const char *const config_workload_name[WORKLOAD_END] = WORKLOAD_NAMES;

int config_fail(struct config *config, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_format_list(config->error, sizeof(config->error), format, arguments);
    va_end(arguments);
    return -1;
}

int config_check(struct config *config)
{
    if (config->vcpus < 1 || config->vcpus > PROGRESS_VCPUS_MAX)
        return config_fail(config, "%u vCPUs: 1 to %u are possible", config->vcpus, PROGRESS_VCPUS_MAX);
    for (uint32_t i = 0; i < config->vcpus; i++) {
        if (config->apic_id[i] > APIC_ID_MAX)
            return config_fail(config, "vCPU %u has the APIC id %u, which MSIs cannot name", i, config->apic_id[i]);
    }
    if (config->wanted[WORKLOAD_DMA] && (config->dma_depth < 1 || config->dma_depth > CONFIG_DMA_DEPTH_MAX))
        return config_fail(config, "dma depth %u: 1 to %u is possible", config->dma_depth, CONFIG_DMA_DEPTH_MAX);
    if (config->wanted[WORKLOAD_MEMORY] && config->memory_size < RAM_PAGE_SIZE)
        return config_fail(config, "the memory workload's size %lu is less than a page", config->memory_size);
    for (uint32_t i = 0; i < WORKLOAD_END; i++) {
        if (config->wanted[i])
            return 0;
    }
    return config_fail(config, "no workload was asked for");
}

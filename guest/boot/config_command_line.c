/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of the command line (guest_abi.h). */
#include <string.h>

#include "guest/base/text.h"
#include "guest/boot/config.h"

#define WORD_MAX 128

/* The text after NAME=, NULL where the word is not of that name. */
static const char *value_of(const char *word, const char *name)
{
    size_t length = strlen(name);

    if (strlen(word) <= length || memcmp(word, name, length) != 0 || word[length] != '=')
        return NULL;
    return word + length + 1;
}

static bool same(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && memcmp(a, b, strlen(a)) == 0;
}

static int read_workloads(struct config *config, const char *list)
{
    while (*list) {
        const char *comma = strchr(list, ',');
        size_t length = comma ? (size_t)(comma - list) : strlen(list);
        bool known = false;

        for (size_t i = 0; i < WORKLOAD_END; i++) {
            const char *name = config_workload_name[i];

            if (name && strlen(name) == length && memcmp(name, list, length) == 0)
                config->wanted[i] = known = true;
        }
        if (!known)
            return config_fail(config, "command line: no such workload: %s", list);
        list += length + (comma ? 1 : 0);
    }
    return 0;
}

static int read_number(struct config *config, const char *word)
{
    struct {
        const char *name;
        uint64_t *value;
        uint32_t *value32;
    } numbers[] = {
        {"seed", &config->seed, NULL},        {"ops", &config->ops, NULL},
        {"depth", NULL, &config->dma_depth},  {"memory", &config->memory_size, NULL},
        {"rate", &config->memory_rate, NULL}, {"vcpus", NULL, &config->vcpus},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *text = value_of(word, numbers[i].name);
        uint64_t value = 0;
        size_t length;

        if (!text)
            continue;
        length = number_parse(text, &value, 0);
        if (length == 0 || text[length] || (numbers[i].value32 && value > UINT32_MAX))
            return config_fail(config, "command line: not a number that fits: %s", word);
        if (numbers[i].value32)
            *numbers[i].value32 = (uint32_t)value;
        else
            *numbers[i].value = value;
        return 0;
    }
    return config_fail(config, "command line: no such word: %s", word);
}

static int read_word(struct config *config, const char *word)
{
    const char *list = value_of(word, "workloads");

    if (list)
        return read_workloads(config, list);
    if (same(word, "avx2"))
        config->avx2 = true;
    else if (same(word, "kvmclock"))
        config->kvmclock = true;
    else if (same(word, "p2p"))
        config->dma_p2p = true;
    else
        return read_number(config, word);
    return 0;
}

int config_read_command_line(struct config *config, const char *line)
{
    char word[WORD_MAX];

    for (;;) {
        size_t length = 0;

        while (*line == ' ')
            line++;
        if (!*line)
            return 0;
        while (line[length] && line[length] != ' ')
            length++;
        if (length >= sizeof(word))
            return config_fail(config, "command line: a word of %zu characters", length);
        memcpy(word, line, length);
        word[length] = '\0';
        if (read_word(config, word) < 0)
            return -1;
        line += length;
    }
}

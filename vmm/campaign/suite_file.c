/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/campaign/suite_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lib/fault_table.h"
#include "lib/options.h"
#include "vmm/campaign/runner.h"
#include "vmm/cmd/cmd.h"

#define NAME_PART_MAX 20
#define MATRIX_NAME_MAX 24

enum subject {
    SUBJECT_MIGRATE = 1,
    SUBJECT_RUN = 2,
    SUBJECT_CHECK = 4,
    SUBJECT_GUEST = SUBJECT_MIGRATE | SUBJECT_RUN,
    SUBJECT_ALL = SUBJECT_GUEST | SUBJECT_CHECK,
};

/* The keys that may have one value or many, and the commands whose options they are. */
static const struct axis_kind {
    const char *key;
    unsigned int subjects;
} axis_kinds[] = {
    {"device", SUBJECT_ALL},
    {"mode", SUBJECT_MIGRATE},
    {"workload", SUBJECT_GUEST},
    {"fault", SUBJECT_GUEST},
    {"seed", SUBJECT_ALL},
    {"repeat", SUBJECT_MIGRATE},
    {"memory", SUBJECT_GUEST},
    {"vcpus", SUBJECT_GUEST},
    {"irqchip", SUBJECT_GUEST},
    {"ops", SUBJECT_GUEST},
    {"at-ops", SUBJECT_MIGRATE},
    {"max-downtime", SUBJECT_MIGRATE},
    {"max-rounds", SUBJECT_MIGRATE},
    {"on-no-convergence", SUBJECT_MIGRATE},
    {"dirty-log", SUBJECT_MIGRATE},
    {"ram", SUBJECT_MIGRATE},
    {"channel", SUBJECT_MIGRATE},
    {"verify", SUBJECT_MIGRATE},
    {"stop-hold", SUBJECT_MIGRATE | SUBJECT_CHECK},
    {"limit-downtime", SUBJECT_MIGRATE},
    {"vfio", SUBJECT_GUEST},
    {"timeout", SUBJECT_MIGRATE | SUBJECT_CHECK},
    {"message-timeout", SUBJECT_GUEST},
    {"arc-timeout", SUBJECT_MIGRATE},
    {"hazard", SUBJECT_CHECK},
    {"only", SUBJECT_CHECK},
    {"skip", SUBJECT_CHECK},
    {"time-limit", SUBJECT_CHECK},
};

struct axis {
    const struct axis_kind *kind;
    size_t count;
    const char *value[SUITE_VALUES_MAX]; /* the document's */
};

struct matrix {
    char name[MATRIX_NAME_MAX + 1];
    const char *command;
    enum subject subject;
    size_t axes;
    struct axis axis[SUITE_AXES_MAX];
    bool expects;
    int expect_status;
    const char *expect_finding; /* NULL: none */
};

struct suite {
    struct campaign *campaign;
    yaml_document_t document;
    const char *name;
    struct error *error;
};

static int refuse(const struct suite *suite, const yaml_node_t *node, const char *what, const char *which)
{
    return error_set(suite->error, 0, "%s: line %zu: %s%.100s", suite->name, node->start_mark.line + 1, what, which);
}

static yaml_node_t *node_at(struct suite *suite, int index)
{
    return yaml_document_get_node(&suite->document, index);
}

/* A scalar's text; refused where it has a NUL, a newline or is too long. NULL with error. */
static const char *text_of(const struct suite *suite, const yaml_node_t *node)
{
    const char *text;

    if (node->type != YAML_SCALAR_NODE) {
        refuse(suite, node, "a text or number is wanted here", "");
        return NULL;
    }
    text = (const char *)node->data.scalar.value;
    if (node->data.scalar.length > SUITE_VALUE_MAX || strlen(text) != node->data.scalar.length ||
        strpbrk(text, "\n\r\t")) {
        refuse(suite, node, "this text is too long, or has characters that no option has", "");
        return NULL;
    }
    return text;
}

static const struct axis_kind *find_kind(const char *key)
{
    for (size_t i = 0; i < sizeof(axis_kinds) / sizeof(axis_kinds[0]); i++)
        if (!strcmp(axis_kinds[i].key, key))
            return &axis_kinds[i];
    return NULL;
}

/* What a value would do as a word of its own: check has its DEVICE without an option's name. */
static bool is_device(const char *text)
{
    return !strcmp(text, "test") || !strncmp(text, "test:", 5) || !strncmp(text, "test,", 5) ||
           !strncmp(text, "vfio-user:", 10) || !strncmp(text, "vfio:", 5);
}

static int add_value(struct suite *suite, struct axis *axis, const yaml_node_t *node)
{
    const char *text = text_of(suite, node);

    if (!text)
        return -1;
    if (axis->count == SUITE_VALUES_MAX)
        return refuse(suite, node, "there are too many values of ", axis->kind->key);
    if (!strcmp(axis->kind->key, "device") && !is_device(text))
        return refuse(suite, node, "this is no DEVICE (test, vfio-user: or vfio:): ", text);
    if (!strcmp(axis->kind->key, "fault") && strcmp(text, "none") != 0 && !fault_table_find(text))
        return refuse(suite, node, "there is no fault ", text);
    axis->value[axis->count++] = text;
    return 0;
}

static int read_axis(struct suite *suite, struct matrix *matrix, const struct axis_kind *kind, const yaml_node_t *node)
{
    struct axis *axis = &matrix->axis[matrix->axes];

    for (size_t i = 0; i < matrix->axes; i++)
        if (matrix->axis[i].kind == kind)
            return refuse(suite, node, "this key is there twice: ", kind->key);
    if (matrix->axes == SUITE_AXES_MAX)
        return refuse(suite, node, "there are too many keys", "");
    *axis = (struct axis){.kind = kind};
    matrix->axes++;
    if (node->type != YAML_SEQUENCE_NODE)
        return add_value(suite, axis, node);
    for (const yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
        if (add_value(suite, axis, node_at(suite, *item)) < 0)
            return -1;
    return axis->count ? 0 : refuse(suite, node, "this list is empty: ", kind->key);
}

static int read_command(struct suite *suite, struct matrix *matrix, const yaml_node_t *node)
{
    static const struct {
        const char *name;
        enum subject subject;
    } commands[] = {{"migrate", SUBJECT_MIGRATE}, {"run", SUBJECT_RUN}, {"check", SUBJECT_CHECK}};
    const char *text = text_of(suite, node);

    if (!text)
        return -1;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, text) != 0)
            continue;
        matrix->command = commands[i].name;
        matrix->subject = commands[i].subject;
        return 0;
    }
    return refuse(suite, node, "a matrix has command migrate, run or check, not ", text);
}

static int read_name(struct suite *suite, struct matrix *matrix, const yaml_node_t *node)
{
    const char *text = text_of(suite, node);

    if (!text)
        return -1;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-')
            return refuse(suite, node, "a name has letters, digits and '-': ", text);
    if (!*text || strlen(text) > MATRIX_NAME_MAX)
        return refuse(suite, node, "a name has 1 to 24 characters: ", text);
    strcpy(matrix->name, text);
    return 0;
}

static int read_number(struct suite *suite, const yaml_node_t *node, const char *what, uint64_t least, uint64_t most,
                       uint64_t *number)
{
    const char *text = text_of(suite, node);
    struct error error = ERROR_INIT;

    if (!text)
        return -1;
    if (option_parse_number(text, what, least, most, number, &error) < 0)
        return refuse(suite, node, error.text, "");
    return 0;
}

static int read_key(struct suite *suite, struct matrix *matrix, const char *key, const yaml_node_t *where,
                    const yaml_node_t *value)
{
    const struct axis_kind *kind = find_kind(key);
    uint64_t number;

    if (kind)
        return read_axis(suite, matrix, kind, value);
    if (!strcmp(key, "name"))
        return read_name(suite, matrix, value);
    if (!strcmp(key, "command"))
        return read_command(suite, matrix, value);
    if (!strcmp(key, "expect-status")) {
        matrix->expects = true;
        if (read_number(suite, value, key, 0, 255, &number) < 0)
            return -1;
        matrix->expect_status = (int)number;
        return 0;
    }
    if (!strcmp(key, "expect-finding")) {
        matrix->expects = true;
        matrix->expect_finding = text_of(suite, value);
        return matrix->expect_finding ? 0 : -1;
    }
    return refuse(suite, where, "a matrix has no key ", key);
}

static int check_matrix(const struct suite *suite, const struct matrix *matrix, const yaml_node_t *node)
{
    bool device = false;

    for (size_t i = 0; i < matrix->axes; i++) {
        device |= !strcmp(matrix->axis[i].kind->key, "device");
        if (!(matrix->axis[i].kind->subjects & matrix->subject))
            return refuse(suite, node, "its command has no option ", matrix->axis[i].kind->key);
    }
    if (matrix->expect_finding && strlen(matrix->expect_finding) >= sizeof(((struct campaign_step *)NULL)->due_finding))
        return refuse(suite, node, "there is no such rule: ", matrix->expect_finding);
    return device ? 0 : refuse(suite, node, "a matrix needs a device", "");
}

/* Defaults are read first; a matrix's own keys stand instead. */
static int read_matrix(struct suite *suite, struct matrix *matrix, const yaml_node_t *node)
{
    if (node->type != YAML_MAPPING_NODE)
        return refuse(suite, node, "a matrix is a mapping of keys to values", "");
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(suite, pair->key), *value = node_at(suite, pair->value);
        const char *text = text_of(suite, key);

        if (!text || read_key(suite, matrix, text, key, value) < 0)
            return -1;
    }
    return check_matrix(suite, matrix, node);
}

/* What of a value can be in a step's name, and so in a file's. */
static void name_value(const char *value, char part[NAME_PART_MAX + 1])
{
    size_t used = 0;

    for (; *value && used < NAME_PART_MAX; value++) {
        if (isalnum((unsigned char)*value))
            part[used++] = *value;
        else if (used && part[used - 1] != '-')
            part[used++] = '-';
    }
    while (used && part[used - 1] == '-')
        used--;
    part[used] = '\0';
}

/* The matrix's name, and the values of the axes that have several; numbered where that is no name of its own. */
static void name_step(struct campaign *campaign, const struct matrix *matrix, const size_t *chosen,
                      char name[CAMPAIGN_NAME_MAX])
{
    size_t used = (size_t)snprintf(name, CAMPAIGN_NAME_MAX, "%s", matrix->name), full;

    for (size_t i = 0; i < matrix->axes; i++) {
        char part[NAME_PART_MAX + 1];

        if (matrix->axis[i].count < 2)
            continue;
        name_value(matrix->axis[i].value[chosen[i]], part);
        if (used + strlen(part) + 8 < CAMPAIGN_NAME_MAX)
            used += (size_t)snprintf(name + used, CAMPAIGN_NAME_MAX - used, ".%s", part);
    }
    full = used;
    for (unsigned int number = 2; campaign_find(campaign, name) && number < CAMPAIGN_STEPS_MAX; number++)
        snprintf(name + full, CAMPAIGN_NAME_MAX - full, ".%u", number);
}

/* "dma,depth=4+memory" are two workloads, "all" is none that is named. */
static void add_workloads(struct campaign *campaign, int step, const char *value)
{
    while (strcmp(value, "all") != 0 && *value) {
        size_t length = strcspn(value, "+");

        campaign_add_word(campaign, step, "--workload=%.*s", (int)length, value);
        value += length + (value[length] == '+');
    }
}

static void add_devices(struct campaign *campaign, int step, const char *device)
{
    const char *to = strstr(device, ",to=");
    char own[SUITE_VALUE_MAX + 1];

    snprintf(own, sizeof(own), "%.*s", (int)(to ? to - device : SUITE_VALUE_MAX), device);
    campaign_add_device(campaign, step, own);
    if (to)
        campaign_add_device(campaign, step, to + strlen(",to="));
}

static void add_axis(struct campaign *campaign, int step, const struct matrix *matrix, const char *key,
                     const char *value)
{
    struct campaign_step *added = &campaign->step[step];
    const struct fault_row *row;

    if (!strcmp(key, "workload")) {
        add_workloads(campaign, step, value);
    } else if (!strcmp(key, "device")) {
        add_devices(campaign, step, value);
        campaign_add_word(campaign, step, matrix->subject == SUBJECT_CHECK ? "%s" : "--device=%s", value);
    } else if (!strcmp(key, "fault")) {
        row = strcmp(value, "none") != 0 ? fault_table_find(value) : NULL;
        if (!row)
            return;
        campaign_add_word(campaign, step, "--fault=%s", value);
        added->due_status = row->status;
        snprintf(added->due_finding, sizeof(added->due_finding), "%s", row->finding);
    } else {
        campaign_add_word(campaign, step, "--%s=%s", key, value);
    }
}

static void describe(const struct matrix *matrix, const size_t *chosen, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s", matrix->command);

    for (size_t i = 0; i < matrix->axes && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s %s %s", i ? "," : "", matrix->axis[i].kind->key,
                                 matrix->axis[i].value[chosen[i]]);
}

static int add_step(struct suite *suite, const struct matrix *matrix, const size_t *chosen)
{
    char name[CAMPAIGN_NAME_MAX], text[512];
    int step;

    name_step(suite->campaign, matrix, chosen, name);
    describe(matrix, chosen, text, sizeof(text));
    step = campaign_add(suite->campaign, name, text, matrix->command, -1);
    if (step < 0)
        return error_set(suite->error, E2BIG, "%s: there are more than %d steps", suite->name, CAMPAIGN_STEPS_MAX);
    for (size_t i = 0; i < matrix->axes; i++)
        add_axis(suite->campaign, step, matrix, matrix->axis[i].kind->key, matrix->axis[i].value[chosen[i]]);
    if (matrix->expects) {
        struct campaign_step *added = &suite->campaign->step[step];

        added->due_status = matrix->expect_status;
        snprintf(added->due_finding, sizeof(added->due_finding), "%s",
                 matrix->expect_finding ? matrix->expect_finding : "");
    }
    suite->campaign->step[step].output = matrix->subject == SUBJECT_CHECK ? STEP_OUTPUT_CHECK : STEP_OUTPUT_REPORT;
    return 0;
}

/* Every combination of the axes' values, the last axis the fastest. */
static int add_steps(struct suite *suite, const struct matrix *matrix)
{
    size_t chosen[SUITE_AXES_MAX] = {0};
    size_t axis;

    do {
        if (add_step(suite, matrix, chosen) < 0)
            return -1;
        for (axis = matrix->axes; axis > 0; axis--) {
            if (++chosen[axis - 1] < matrix->axis[axis - 1].count)
                break;
            chosen[axis - 1] = 0;
        }
    } while (axis > 0);
    return 0;
}

static int read_matrices(struct suite *suite, const yaml_node_t *node)
{
    struct matrix *matrix = malloc(sizeof(*matrix));
    size_t count = 0;
    int result = 0;

    if (!matrix)
        return error_set(suite->error, ENOMEM, "%s", suite->name);
    if (node->type != YAML_SEQUENCE_NODE)
        result = refuse(suite, node, "matrix is a list of mappings", "");
    for (const yaml_node_item_t *item = result ? NULL : node->data.sequence.items.start;
         item && item < node->data.sequence.items.top && result == 0; item++) {
        *matrix = (struct matrix){.command = "migrate", .subject = SUBJECT_MIGRATE};
        snprintf(matrix->name, sizeof(matrix->name), "matrix-%zu", count + 1);
        if (++count > SUITE_MATRICES_MAX)
            result = refuse(suite, node, "there are too many matrices", "");
        else
            result = read_matrix(suite, matrix, node_at(suite, *item));
        if (result == 0)
            result = add_steps(suite, matrix);
    }
    free(matrix);
    return result;
}

static int read_root(struct suite *suite)
{
    const yaml_node_t *root = yaml_document_get_root_node(&suite->document);
    bool jobs = false, matrix = false;
    uint64_t number;

    if (!root || root->type != YAML_MAPPING_NODE)
        return error_set(suite->error, 0, "%s: a suite is a mapping with the key matrix", suite->name);
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(suite, pair->key), *value = node_at(suite, pair->value);
        const char *text = text_of(suite, key);

        if (!text)
            return -1;
        if (!strcmp(text, "jobs") && !jobs) {
            if (read_number(suite, value, text, 1, RUNNER_JOBS_MAX, &number) < 0)
                return -1;
            suite->campaign->jobs = (unsigned int)number;
            jobs = true;
        } else if (!strcmp(text, "matrix") && !matrix) {
            if (read_matrices(suite, value) < 0)
                return -1;
            matrix = true;
        } else {
            return refuse(suite, key, "a suite has jobs and matrix, each once, and no key ", text);
        }
    }
    if (!suite->campaign->steps)
        return error_set(suite->error, 0, "%s: there is no matrix in it", suite->name);
    return suite->campaign->full ? error_set(suite->error, E2BIG, "%s: its steps have too many words", suite->name) : 0;
}

int suite_parse(struct campaign *campaign, const char *text, size_t size, const char *name, struct error *error)
{
    struct suite suite = {.campaign = campaign, .name = name, .error = error};
    yaml_parser_t parser;
    int result;

    if (size > SUITE_BYTES_MAX)
        return error_set(error, E2BIG, "%s: a suite has %u bytes at most", name, SUITE_BYTES_MAX);
    if (!yaml_parser_initialize(&parser))
        return error_set(error, ENOMEM, "%s", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!yaml_parser_load(&parser, &suite.document)) {
        result = error_set(error, 0, "%s: line %zu: it is no YAML: %s", name, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "no memory");
    } else {
        result = read_root(&suite);
        yaml_document_delete(&suite.document);
    }
    yaml_parser_delete(&parser);
    return result;
}

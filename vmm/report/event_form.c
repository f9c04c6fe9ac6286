/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/report/event_form.h"
#include "vmm/proof/workload.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/report/event_log.h"

#define MEMBERS_MAX 32
#define WORDS_MAX 1024 /* of a command line */

enum member_type {
    MEMBER_TEXT,
    MEMBER_NUMBER,
    MEMBER_BOOLEAN,
    MEMBER_HEX,
    MEMBER_WORDS,
    MEMBER_WORKLOAD, /* the name of one */
};

struct member {
    const char *name;
    enum member_type type;
    bool optional;
    const char *const *choices; /* where the text must be one of some */
    json_int_t maximum;         /* of a number, 0 for none */
};

struct form {
    const char *kind;
    struct member member[12];
};

static const char *const outcomes[] = {"source", "destination", "none", "unknown", "finished", NULL};
static const char *const instants[] = {"pause", "end", NULL};
static const char *const results[] = {"pass", "fail", "skip", NULL};

#define TEXT(member_name)                                                                                              \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_TEXT                                                                     \
    }
#define CHOICE(member_name, list)                                                                                      \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_TEXT, .choices = (list)                                                  \
    }
#define NUMBER(member_name)                                                                                            \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_NUMBER                                                                   \
    }
#define NUMBER_BELOW(member_name, limit)                                                                               \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_NUMBER, .maximum = (limit)-1                                             \
    }
#define BOOLEAN(member_name)                                                                                           \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_BOOLEAN                                                                  \
    }
#define WORKLOAD(member_name)                                                                                          \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_WORKLOAD                                                                 \
    }
#define HEX(member_name)                                                                                               \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_HEX                                                                      \
    }
#define WORDS(member_name)                                                                                             \
    {                                                                                                                  \
        .name = (member_name), .type = MEMBER_WORDS                                                                    \
    }
#define OPTIONAL(member_name, member_type)                                                                             \
    {                                                                                                                  \
        .name = (member_name), .type = (member_type), .optional = true                                                 \
    }

/* clang-format off */
static const struct member common[] = {
    TEXT("kind"), TEXT("role"), NUMBER_BELOW("leg", EVENT_LEGS_MAX), NUMBER("time_ns"), {.name = NULL},
};

static const struct form forms[] = {
    {"expect", {BOOLEAN("guest"), NUMBER("migrations"), NUMBER("devices")}},
    {"manifest", {TEXT("version"), TEXT("kernel"), TEXT("cpu"), WORDS("command"), HEX("seed"), TEXT("time")}},
    {"phase", {TEXT("name"), NUMBER("start_ns"), NUMBER("end_ns"), NUMBER("bytes")}},
    {"arc", {NUMBER_BELOW("device", EVENT_DEVICES_MAX), TEXT("from"), TEXT("to"), NUMBER("start_ns"), NUMBER("ns")}},
    {"finding", {TEXT("rule"), TEXT("text")}},
    {"note", {TEXT("text")}},
    {"console", {TEXT("text")}},
    {"not-proven", {TEXT("text"), BOOLEAN("about_device")}},
    {"outcome", {CHOICE("who", outcomes), NUMBER("status"), TEXT("text")}},
    {"fact", {TEXT("name"), NUMBER("value")}},
    {"device", {NUMBER_BELOW("index", EVENT_DEVICES_MAX), OPTIONAL("name", MEMBER_TEXT),
                OPTIONAL("state_bytes", MEMBER_NUMBER), OPTIONAL("ops_before", MEMBER_NUMBER),
                OPTIONAL("ops_after", MEMBER_NUMBER), OPTIONAL("in_flight_at_stop", MEMBER_NUMBER)}},
    {"chain", {CHOICE("when", instants), WORKLOAD("workload"), NUMBER("device"), NUMBER("index"),
               NUMBER("parameter"), NUMBER("operations"), HEX("digest"), OPTIONAL("expected", MEMBER_HEX),
               NUMBER("submitted"), NUMBER("interrupts"), OPTIONAL("repeats", MEMBER_NUMBER)}},
    {"check", {TEXT("rule"), CHOICE("result", results), TEXT("text")}},
};
/* clang-format on */

/* The length of the well-formed, printable UTF-8 character at text, 0 where there is none. */
static size_t character_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    if (length == 0 || text[0] > 0xf4)
        return 0;
    if (length == 1)
        return text[0] >= ' ' && text[0] != 0x7f;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    /* Control characters of ISO 8859-1, encodings longer than need be, surrogates, beyond Unicode. */
    if ((text[0] == 0xc2 && text[1] < 0xa0) || (text[0] == 0xe0 && text[1] < 0xa0) ||
        (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf0 && text[1] < 0x90) ||
        (text[0] == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

void event_make_printable(char *text)
{
    while (*text) {
        size_t length = character_length((unsigned char *)text);

        if (length == 0) {
            *text = '?';
            length = 1;
        }
        text += length;
    }
}

json_t *event_text(const char *text)
{
    char copy[EVENT_TEXT_MAX];

    snprintf(copy, sizeof(copy), "%s", text ? text : "");
    event_make_printable(copy);
    return json_string(copy);
}

json_t *event_hex(uint64_t value)
{
    return json_sprintf("0x%016" PRIx64, value);
}

json_t *event_number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static bool check_text(json_t *value)
{
    char copy[EVENT_TEXT_MAX];

    if (!json_is_string(value) || json_string_length(value) >= sizeof(copy) ||
        strlen(json_string_value(value)) != json_string_length(value))
        return false;
    strcpy(copy, json_string_value(value));
    event_make_printable(copy);
    return strcmp(copy, json_string_value(value)) == 0 || json_string_set(value, copy) == 0;
}

static bool check_hex(json_t *value)
{
    return json_is_string(value) && json_string_length(value) == 18 &&
           strncmp(json_string_value(value), "0x", 2) == 0 &&
           strspn(json_string_value(value) + 2, "0123456789abcdef") == 16;
}

static bool check_words(json_t *value)
{
    json_t *word;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > WORDS_MAX)
        return false;
    json_array_foreach (value, i, word) {
        if (!check_text(word))
            return false;
    }
    return true;
}

static bool check_choice(const char *text, const char *const *choices)
{
    for (; choices && *choices; choices++) {
        if (strcmp(text, *choices) == 0)
            return true;
    }
    return !choices;
}

static bool check_value(const struct member *member, json_t *value)
{
    switch (member->type) {
    case MEMBER_TEXT:
        return check_text(value) && check_choice(json_string_value(value), member->choices);
    case MEMBER_NUMBER:
        return json_is_integer(value) && json_integer_value(value) >= 0 &&
               (!member->maximum || json_integer_value(value) <= member->maximum);
    case MEMBER_BOOLEAN:
        return json_is_boolean(value);
    case MEMBER_HEX:
        return check_hex(value);
    case MEMBER_WORDS:
        return check_words(value);
    case MEMBER_WORKLOAD:
        return json_is_string(value) && proof_workload_named(json_string_value(value));
    }
    return false;
}

static int check_members(json_t *event, const char *kind, const struct member *member, struct error *error)
{
    for (; member->name; member++) {
        json_t *value = json_object_get(event, member->name);

        if (!value && !member->optional)
            return error_set(error, 0, "an event of kind \"%s\" has no %s", kind, member->name);
        if (value && !check_value(member, value))
            return error_set(error, 0, "an event of kind \"%s\" has a %s that is not of its form", kind, member->name);
    }
    return 0;
}

static const struct form *find_form(const char *kind)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].kind, kind) == 0)
            return &forms[i];
    }
    return NULL;
}

/* Members that no form knows may be numbers, texts and the like, and words. */
static int check_rest(json_t *event, const char *kind, struct error *error)
{
    const char *name;
    json_t *value;

    if (json_object_size(event) > MEMBERS_MAX)
        return error_set(error, 0, "an event of kind \"%s\" has %zu members, more than %d", kind,
                         json_object_size(event), MEMBERS_MAX);
    json_object_foreach (event, name, value) {
        if (json_is_object(value) || (json_is_string(value) && !check_text(value)) ||
            (json_is_array(value) && !check_words(value)))
            return error_set(error, 0, "an event of kind \"%s\" has a member that is too large or nested", kind);
    }
    return 0;
}

int event_form_check(json_t *event, struct error *error)
{
    const struct form *form;
    const char *kind;

    if (!json_is_object(event))
        return error_set(error, 0, "an event that is no JSON object");
    if (check_members(event, "", common, error) < 0)
        return -1;
    kind = json_string_value(json_object_get(event, "kind"));
    form = find_form(kind);
    if (!form)
        return error_set(error, 0, "an event of the unknown kind \"%.64s\"", kind);
    if (json_string_length(json_object_get(event, "role")) >= EVENT_ROLE_MAX)
        return error_set(error, 0, "an event of kind \"%s\" has a role that is too long", kind);
    if (check_members(event, kind, form->member, error) < 0)
        return -1;
    return check_rest(event, kind, error);
}

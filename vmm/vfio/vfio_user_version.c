/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VERSION: what both ends can do. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vmm/vfio/vfio_user_client.h"

#define RULE "vfio-user/version"
#define VERSION_REPLY_MAX 65536u

static char *our_capabilities(void)
{
    json_t *json = json_pack("{s:{s:i,s:i,s:{s:b},s:b,s:{s:i,s:b}}}", "capabilities", "max_msg_fds", CLIENT_MAX_MSG_FDS,
                             "max_data_xfer_size", (int)CLIENT_MAX_DATA_XFER_SIZE, "twin_socket", "supported", 1,
                             "write_multiple", 1, VFIO_USER_CAPABILITY_STOPCOPY, "version",
                             VFIO_USER_CAPABILITY_STOPCOPY_VERSION, VFIO_USER_CAPABILITY_PEER_MAPPINGS, 1);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

/* A number of object from minimum on, where there is one by that name. */
static int get_number(const json_t *object, const char *key, uint64_t minimum, uint64_t maximum, uint64_t *number,
                      struct error *error)
{
    const json_t *value = json_object_get(object, key);
    json_int_t integer;

    if (!value)
        return 0;
    integer = json_integer_value(value);
    if (!json_is_integer(value) || integer < 0 || (uint64_t)integer < minimum || (uint64_t)integer > maximum)
        return error_rule(error, RULE, EPROTO, "the capability %s is not a number from %" PRIu64 " to %" PRIu64, key,
                          minimum, maximum);
    *number = (uint64_t)integer;
    return 0;
}

static int get_bool(const json_t *object, const char *key, bool *is_true, struct error *error)
{
    const json_t *value = json_object_get(object, key);

    if (value && !json_is_boolean(value))
        return error_rule(error, RULE, EPROTO, "the capability %s is neither true nor false", key);
    *is_true = json_is_true(value);
    return 0;
}

static int get_object(const json_t *object, const char *key, const json_t **value, struct error *error)
{
    *value = json_object_get(object, key);
    if (*value && !json_is_object(*value))
        return error_rule(error, RULE, EPROTO, "%s is not an object", key);
    return 0;
}

static bool is_stream_socket(int fd)
{
    int domain = -1;
    int type = -1;
    socklen_t domain_size = sizeof(domain);
    socklen_t type_size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM;
}

static int parse_twin(const json_t *capabilities, const int *fds, size_t fd_count,
                      struct vfio_user_agreement *agreement, struct error *error)
{
    const json_t *twin;
    bool supported = false;
    uint64_t index = UINT64_MAX;

    if (get_object(capabilities, "twin_socket", &twin, error) < 0)
        return -1;
    if (twin && (get_bool(twin, "supported", &supported, error) < 0 ||
                 get_number(twin, "fd_index", 0, INT32_MAX, &index, error) < 0))
        return -1;
    if (fd_count != (supported ? 1 : 0))
        return error_rule(error, RULE, EPROTO, "%zu descriptors with the reply, where %s", fd_count,
                          supported ? "the twin socket is one" : "none belongs to it");
    if (!supported)
        return 0;
    if (index != 0)
        return error_rule(error, RULE, EPROTO, "twin_socket.fd_index names none of the descriptors");
    if (!is_stream_socket(fds[0]))
        return error_rule(error, RULE, EPROTO, "the twin socket is not a UNIX stream socket");
    agreement->twin_socket = fds[0];
    return 0;
}

static int parse_stopcopy(const json_t *capabilities, struct vfio_user_agreement *agreement, struct error *error)
{
    const json_t *ours;
    uint64_t version = 0;
    bool peers = false;

    if (get_object(capabilities, VFIO_USER_CAPABILITY_STOPCOPY, &ours, error) < 0 ||
        (ours && (get_number(ours, "version", 1, INT32_MAX, &version, error) < 0 ||
                  get_bool(ours, VFIO_USER_CAPABILITY_PEER_MAPPINGS, &peers, error) < 0)))
        return -1;
    agreement->stopcopy = version == VFIO_USER_CAPABILITY_STOPCOPY_VERSION;
    agreement->peer_mappings = agreement->stopcopy && peers;
    if (!agreement->stopcopy)
        return 0;
    if (get_bool(ours, "checksum", &agreement->checksum, error) < 0 ||
        get_bool(ours, "repeatable", &agreement->repeatable, error) < 0 ||
        get_bool(ours, "exact_size", &agreement->exact_size, error) < 0)
        return -1;
    return 0;
}

static int parse_numbers(const json_t *capabilities, struct vfio_user_agreement *agreement, struct error *error)
{
    uint64_t fds = agreement->max_msg_fds;
    uint64_t transfer = agreement->max_data_xfer_size;
    uint64_t maps = agreement->max_dma_maps;

    /* Less than 8 bytes could not carry a register. */
    if (get_number(capabilities, "max_msg_fds", 0, INT32_MAX, &fds, error) < 0 ||
        get_number(capabilities, "max_data_xfer_size", 8, UINT32_MAX, &transfer, error) < 0 ||
        get_number(capabilities, "max_dma_maps", 1, UINT32_MAX, &maps, error) < 0 ||
        get_number(capabilities, "pgsizes", 1, INT64_MAX, &agreement->pgsizes, error) < 0)
        return -1;
    agreement->max_msg_fds = (uint32_t)(fds < IO_FDS_MAX ? fds : IO_FDS_MAX);
    agreement->max_data_xfer_size =
        (uint32_t)(transfer < CLIENT_MAX_DATA_XFER_SIZE ? transfer : CLIENT_MAX_DATA_XFER_SIZE);
    agreement->max_dma_maps = (uint32_t)maps;
    return 0;
}

static int parse_root(const json_t *root, const int *fds, size_t fd_count, struct vfio_user_agreement *agreement,
                      struct error *error)
{
    const json_t *capabilities;

    if (!json_is_object(root))
        return error_rule(error, RULE, EPROTO, "the JSON is not an object");
    if (get_object(root, "capabilities", &capabilities, error) < 0 ||
        parse_numbers(capabilities, agreement, error) < 0 ||
        get_bool(capabilities, "write_multiple", &agreement->write_multiple, error) < 0 ||
        parse_stopcopy(capabilities, agreement, error) < 0)
        return -1;
    return parse_twin(capabilities, fds, fd_count, agreement, error);
}

/* The parser quotes what it does not understand, which may hold the terminal's control sequences. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

int vfio_user_parse_capabilities(const char *json, size_t size, const int *fds, size_t fd_count,
                                 struct vfio_user_agreement *agreement, struct error *error)
{
    json_error_t json_error;
    json_t *root;
    int status;

    agreement->max_msg_fds = VFIO_USER_DEFAULT_MAX_MSG_FDS;
    agreement->max_data_xfer_size = VFIO_USER_DEFAULT_MAX_DATA_XFER_SIZE;
    agreement->max_dma_maps = VFIO_USER_DEFAULT_MAX_DMA_MAPS;
    agreement->pgsizes = VFIO_USER_DEFAULT_PGSIZES;
    agreement->twin_socket = -1;
    if (!size) {
        if (fd_count)
            return error_rule(error, RULE, EPROTO, "%zu descriptors with a reply without JSON", fd_count);
        return 0;
    }
    if (json[size - 1] != '\0' || strlen(json) != size - 1)
        return error_rule(error, RULE, EPROTO, "the JSON does not end with the message's one NUL");
    root = json_loadb(json, size - 1, JSON_REJECT_DUPLICATES, &json_error);
    if (!root) {
        make_printable(json_error.text);
        return error_rule(error, RULE, EPROTO, "the JSON cannot be parsed (%s, at byte %d)", json_error.text,
                          json_error.position);
    }
    status = parse_root(root, fds, fd_count, agreement, error);
    json_decref(root);
    return status;
}

static int check_version(struct vfio_user *client, const struct vfio_user_version *version, struct error *error)
{
    if (version->major != VFIO_USER_MAJOR)
        return vfio_user_violation(client, error, "VERSION: the server speaks %u.%u, and we %u.%u", version->major,
                                   version->minor, VFIO_USER_MAJOR, VFIO_USER_MINOR);
    /* The specification wants no more than was proposed; servers answer with their own, and all minors are compatible.
     */
    client->agreement.major = version->major;
    client->agreement.minor = version->minor;
    return 0;
}

int vfio_user_negotiate(struct vfio_user *client, struct error *error)
{
    struct vfio_user_version version = {.major = VFIO_USER_MAJOR, .minor = VFIO_USER_MINOR};
    char *json = our_capabilities();
    char *reply = malloc(VERSION_REPLY_MAX);
    int fds[IO_FDS_MAX];
    struct vfio_user_call call = {
        .command = VFIO_USER_VERSION,
        .request = {{&version, sizeof(version)}, {json, json ? strlen(json) + 1 : 0}},
        .request_count = 2,
        .reply = {{&version, sizeof(version)}, {reply, VERSION_REPLY_MAX}},
        .reply_minimum = sizeof(version),
        .reply_fds = fds,
        .reply_fds_max = IO_FDS_MAX,
    };
    struct error cause = ERROR_INIT;
    int status = -1;

    if (!json || !reply) {
        error_set(error, ENOMEM, "%s: VERSION", client->device.name);
        goto out;
    }
    if (vfio_user_roundtrip(client, &call, error, "VERSION") < 0)
        goto out;
    status = check_version(client, &version, error);
    if (status == 0)
        status = vfio_user_parse_capabilities(reply, call.reply_size - sizeof(version), fds, call.reply_fd_count,
                                              &client->agreement, &cause);
    if (cause.number) {
        error_prefix(&cause, "%s: VERSION", client->device.name);
        vfio_user_break(client, &cause);
        if (error)
            *error = cause;
    }
out:
    for (size_t i = 0; i < call.reply_fd_count; i++)
        if (status < 0 || fds[i] != client->agreement.twin_socket)
            io_close(&fds[i]);
    free(json);
    free(reply);
    return status;
}

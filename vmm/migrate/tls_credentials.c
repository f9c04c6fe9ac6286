/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/tls_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io.h"

/* Of a file of credentials: certificates and keys are far smaller. */
#define FILE_MAX (64u << 10)
#define PSK_BYTES_MIN 16u
#define PSK_BYTES_MAX 64u

bool tls_wanted(const struct tls_options *options)
{
    return options->psk_file || options->x509;
}

static void wipe(gnutls_datum_t *data)
{
    if (data->data)
        explicit_bzero(data->data, data->size);
    free(data->data);
    *data = (gnutls_datum_t){.data = NULL};
}

static int check_file(int fd, const char *path, bool secret, struct error *error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set(error, errno, "%s", path);
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
        return error_set(error, EINVAL, "%s is not a file of up to %u bytes", path, FILE_MAX);
    if (secret && status.st_mode & (S_IRWXO | S_IWGRP))
        return error_set(error, EACCES, "%s holds a secret, and its mode %04o lets others have it: chmod 600 %s", path,
                         status.st_mode & 07777, path);
    return 0;
}

/* The whole file, with a NUL after it that does not count. */
static int read_file(const char *path, bool secret, gnutls_datum_t *data, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t count = 0;

    *data = (gnutls_datum_t){.data = NULL};
    if (fd < 0)
        return error_set(error, errno, "opening %s", path);
    if (check_file(fd, path, secret, error) < 0)
        goto fail;
    data->data = calloc(1, FILE_MAX + 1);
    if (!data->data) {
        error_set(error, ENOMEM, "reading %s", path);
        goto fail;
    }
    while (data->size < FILE_MAX && (count = read(fd, data->data + data->size, FILE_MAX - data->size)) > 0)
        data->size += (unsigned int)count;
    if (count < 0) {
        error_set(error, errno, "reading %s", path);
        goto fail;
    }
    close(fd);
    return 0;
fail:
    wipe(data);
    close(fd);
    return -1;
}

/* NAME:HEX and the end of the line. */
static int parse_psk(struct tls_credentials *credentials, gnutls_datum_t *file, const char *path, struct error *error)
{
    char *text = (char *)file->data;
    char *colon = strchr(text, ':');
    size_t name = colon ? (size_t)(colon - text) : 0;
    gnutls_datum_t hex;
    int result;

    if (!name || name >= sizeof(credentials->name) || memchr(text, '\n', name))
        return error_set(error, EINVAL, "%s has no line NAME:KEY", path);
    memcpy(credentials->name, text, name);
    hex = (gnutls_datum_t){.data = file->data + name + 1, .size = (unsigned int)strcspn(colon + 1, "\r\n")};
    if (strspn(colon + 1 + hex.size, "\r\n \t") != strlen(colon + 1 + hex.size) || strlen(text) != file->size)
        return error_set(error, EINVAL, "%s has more than the one line NAME:KEY", path);
    result = gnutls_hex_decode2(&hex, &credentials->key);
    if (result < 0)
        return error_set(error, EINVAL, "%s: the key is not in hex", path);
    if (credentials->key.size < PSK_BYTES_MIN || credentials->key.size > PSK_BYTES_MAX)
        return error_set(error, EINVAL, "%s: the key has %u bytes; it must have %u to %u", path, credentials->key.size,
                         PSK_BYTES_MIN, PSK_BYTES_MAX);
    return 0;
}

static int give_key(gnutls_session_t session, const char *name, gnutls_datum_t *key)
{
    const struct tls_credentials *credentials = gnutls_session_get_ptr(session);

    if (strcmp(name, credentials->name))
        return -1;
    key->data = gnutls_malloc(credentials->key.size);
    if (!key->data)
        return -1;
    key->size = credentials->key.size;
    memcpy(key->data, credentials->key.data, key->size);
    return 0;
}

static int read_psk(struct tls_credentials *credentials, const char *path, struct error *error)
{
    gnutls_datum_t file;
    int result;

    if (read_file(path, true, &file, error) < 0)
        return -1;
    result = parse_psk(credentials, &file, path, error);
    wipe(&file);
    if (result < 0)
        return -1;
    if (credentials->role == TLS_SERVER) {
        result = gnutls_psk_allocate_server_credentials(&credentials->psk_server);
        if (result == 0)
            gnutls_psk_set_server_credentials_function(credentials->psk_server, give_key);
    } else {
        result = gnutls_psk_allocate_client_credentials(&credentials->psk_client);
        if (result == 0)
            result = gnutls_psk_set_client_credentials(credentials->psk_client, credentials->name, &credentials->key,
                                                       GNUTLS_PSK_KEY_RAW);
    }
    return result < 0 ? error_set(error, 0, "%s: %s", path, gnutls_strerror(result)) : 0;
}

static int join(char path[PATH_MAX], const char *folder, const char *role, const char *name, struct error *error)
{
    if (snprintf(path, PATH_MAX, "%s/%s%s", folder, role, name) >= PATH_MAX)
        return error_set(error, ENAMETOOLONG, "%s", folder);
    return 0;
}

/* The authority's certificate, and its list of revoked ones where there is one. */
static int read_authority(struct tls_credentials *credentials, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    gnutls_datum_t file;
    int result;

    if (join(path, folder, "", "ca-cert.pem", error) < 0 || read_file(path, false, &file, error) < 0)
        return -1;
    result = gnutls_certificate_set_x509_trust_mem(credentials->x509, &file, GNUTLS_X509_FMT_PEM);
    wipe(&file);
    if (result <= 0)
        return error_set(error, 0, "%s: %s", path, result ? gnutls_strerror(result) : "there is no certificate in it");
    if (join(path, folder, "", "ca-crl.pem", error) < 0)
        return -1;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (read_file(path, false, &file, error) < 0)
        return -1;
    result = gnutls_certificate_set_x509_crl_mem(credentials->x509, &file, GNUTLS_X509_FMT_PEM);
    wipe(&file);
    return result < 0 ? error_set(error, 0, "%s: %s", path, gnutls_strerror(result)) : 0;
}

static int read_x509(struct tls_credentials *credentials, const char *folder, struct error *error)
{
    const char *role = credentials->role == TLS_SERVER ? "server" : "client";
    gnutls_datum_t certificate = {.data = NULL}, key = {.data = NULL};
    char path[PATH_MAX];
    int result = gnutls_certificate_allocate_credentials(&credentials->x509);

    if (result < 0)
        return error_set(error, 0, "TLS: %s", gnutls_strerror(result));
    if (read_authority(credentials, folder, error) < 0)
        return -1;
    if (join(path, folder, role, "-cert.pem", error) < 0 || read_file(path, false, &certificate, error) < 0)
        return -1;
    result = join(path, folder, role, "-key.pem", error);
    if (result == 0)
        result = read_file(path, true, &key, error);
    if (result == 0) {
        result = gnutls_certificate_set_x509_key_mem(credentials->x509, &certificate, &key, GNUTLS_X509_FMT_PEM);
        if (result < 0)
            error_set(error, 0, "%s, with the certificate beside it: %s", path, gnutls_strerror(result));
    }
    wipe(&certificate);
    wipe(&key);
    return result < 0 ? -1 : 0;
}

/* Whose certificate is due. */
static int set_peer(struct tls_credentials *credentials, const char *name, struct error *error)
{
    if (!name && credentials->role == TLS_CLIENT)
        return error_set(error, 0, "--tls-x509: --tls-peer has to say whose certificate the destination must have");
    if (name && strlen(name) >= sizeof(credentials->peer))
        return error_set(error, ENAMETOOLONG, "--tls-peer %.40s...", name);
    strcpy(credentials->peer, name ? name : "");
    return 0;
}

struct tls_credentials *tls_credentials_read(const struct tls_options *options, enum tls_role role, const char *host,
                                             struct error *error)
{
    struct tls_credentials *credentials = calloc(1, sizeof(*credentials));

    if (!credentials) {
        error_set(error, ENOMEM, "TLS");
        return NULL;
    }
    credentials->role = role;
    if (options->psk_file ? read_psk(credentials, options->psk_file, error) < 0
                          : read_x509(credentials, options->x509, error) < 0 ||
                                set_peer(credentials, options->peer ? options->peer : host, error) < 0) {
        tls_credentials_free(credentials);
        return NULL;
    }
    return credentials;
}

void tls_credentials_free(struct tls_credentials *credentials)
{
    if (!credentials)
        return;
    if (credentials->psk_client)
        gnutls_psk_free_client_credentials(credentials->psk_client);
    if (credentials->psk_server)
        gnutls_psk_free_server_credentials(credentials->psk_server);
    if (credentials->x509)
        gnutls_certificate_free_credentials(credentials->x509);
    if (credentials->key.data)
        explicit_bzero(credentials->key.data, credentials->key.size);
    gnutls_free(credentials->key.data);
    free(credentials);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A build without GnuTLS: no credentials can be had, so that nothing else of the interface is ever reached. */
#include <errno.h>
#include <string.h>

#include "vmm/migrate/tls.h"

bool tls_wanted(const struct tls_options *options)
{
    return options->psk_file || options->x509;
}

struct tls_credentials *tls_credentials_read(const struct tls_options *options, enum tls_role role, const char *host,
                                             struct error *error)
{
    (void)options;
    (void)role;
    (void)host;
    error_set(error, EOPNOTSUPP, "this program was built without GnuTLS (configure --with-gnutls), so it has no TLS");
    return NULL;
}

void tls_credentials_free(struct tls_credentials *credentials)
{
    (void)credentials;
}

struct tls *tls_open(const struct tls_credentials *credentials, int fd, struct deadline deadline, const char *what,
                     struct error *error)
{
    (void)credentials;
    (void)fd;
    (void)deadline;
    error_set(error, EOPNOTSUPP, "TLS with %s", what);
    return NULL;
}

void tls_close(struct tls *tls)
{
    (void)tls;
}

int tls_send(struct tls *tls, const struct iovec *vector, size_t vector_count, struct deadline deadline,
             const char *what, struct error *error)
{
    (void)tls;
    (void)vector;
    (void)vector_count;
    (void)deadline;
    return error_set(error, EOPNOTSUPP, "sending to %s", what);
}

int tls_read_full(struct tls *tls, void *data, size_t size, struct deadline deadline, const char *what,
                  struct error *error)
{
    (void)tls;
    (void)data;
    (void)size;
    (void)deadline;
    return error_set(error, EOPNOTSUPP, "reading from %s", what);
}

void tls_binding(const struct tls *tls, uint8_t binding[TLS_BINDING_SIZE])
{
    (void)tls;
    memset(binding, 0, TLS_BINDING_SIZE);
}

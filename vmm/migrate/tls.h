/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection under TLS 1.3 (RFC 8446, by GnuTLS): both ends have to prove who they are, by a key that both know or by
 * X.509 certificates, before a byte of what is inside is sent or looked at. Every wait has a deadline.
 *
 * In a build without GnuTLS (configure --without-gnutls) nothing but the refusal is there.
 */
#ifndef STOPCOPY_TLS_H
#define STOPCOPY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/deadline.h"
#include "lib/error.h"

#define TLS_BINDING_SIZE 32

/* What the user says of it. No file: no TLS. */
struct tls_options {
    const char *psk_file; /* one line NAME:KEY, the key 16 to 64 bytes in hex, as psktool(1) writes it */
    const char
        *x509; /* a folder: ca-cert.pem, and for this end's role client-cert.pem and client-key.pem, or server- */
    const char *peer; /* the name in the other end's certificate. NULL: the host that was connected to, or any */
};

enum tls_role {
    TLS_CLIENT, /* connects: the source */
    TLS_SERVER, /* is connected to: the destination */
};

struct tls_credentials;
struct tls;

bool tls_wanted(const struct tls_options *options);

/*
 * Reads the files of one end. A file with a secret that everybody can read is refused. The peer's name is copied; host is
 * taken where options have none, and may be NULL. A client with X.509 needs one of them. NULL on failure.
 */
struct tls_credentials *tls_credentials_read(const struct tls_options *options, enum tls_role role, const char *host,
                                             struct error *error);
void tls_credentials_free(struct tls_credentials *credentials);

/*
 * The handshake over a connected socket, which stays the caller's. The credentials must live as long as what is returned.
 * Errors have the rule "stream/not-authenticated" where the other end did not prove who it is, or refused this one;
 * ETIMEDOUT at the deadline. NULL on failure.
 */
struct tls *tls_open(const struct tls_credentials *credentials, int fd, struct deadline deadline, const char *what,
                     struct error *error);

/* Tells the other end that nothing more comes, as far as it listens. Closes nothing. */
void tls_close(struct tls *tls);

/* As io_send and io_read_full. The vector stays as it is. */
int tls_send(struct tls *tls, const struct iovec *vector, size_t vector_count, struct deadline deadline,
             const char *what, struct error *error);
int tls_read_full(struct tls *tls, void *data, size_t size, struct deadline deadline, const char *what,
                  struct error *error);

/* What is of this connection alone and the same at both of its ends (RFC 9266, tls-exporter). */
void tls_binding(const struct tls *tls, uint8_t binding[TLS_BINDING_SIZE]);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one end proves itself by: of tls.c and tls_credentials.c alone. */
#ifndef STOPCOPY_TLS_CREDENTIALS_H
#define STOPCOPY_TLS_CREDENTIALS_H

#include <gnutls/gnutls.h>

#include "vmm/migrate/tls.h"

#define TLS_PSK_NAME_MAX 128
#define TLS_PEER_NAME_MAX 256

struct tls_credentials {
    enum tls_role role;
    /* A pre-shared key; size 0: X.509 */
    char name[TLS_PSK_NAME_MAX];
    gnutls_datum_t key;
    gnutls_psk_client_credentials_t psk_client;
    gnutls_psk_server_credentials_t psk_server;
    gnutls_certificate_credentials_t x509;
    char peer[TLS_PEER_NAME_MAX]; /* "": any that the authority has signed */
};

#endif

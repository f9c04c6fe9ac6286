/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --tls-psk, --tls-x509, --tls-peer and --insecure: whether the stream may leave this host as it is, and what protects it. */
#ifndef STOPCOPY_CMD_STREAM_SECURITY_H
#define STOPCOPY_CMD_STREAM_SECURITY_H

#include "vmm/cmd/options.h"

/* Do the options fit each other? The error says which do not. */
int stream_security_check(const struct options *options, struct error *error);

/*
 * Prepares the end of a channel: says to the address whether TCP beyond this host is allowed, and reads the credentials
 * into *credentials, to be freed with tls_credentials_free; NULL where none are asked for.
 */
int stream_security_prepare(const struct options *options, enum tls_role role, struct channel_address *address,
                            struct tls_credentials **credentials, struct error *error);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/stream_security.h"

#include <string.h>

int stream_security_check(const struct options *options, struct error *error)
{
    bool tls = tls_wanted(&options->tls);

    if (options->tls.psk_file && options->tls.x509)
        return error_set(error, 0, "--tls-psk and --tls-x509: the stream is protected by one of them");
    if (tls && options->insecure)
        return error_set(error, 0, "--insecure: with TLS there is nothing to be allowed");
    if (options->tls.peer && !options->tls.x509)
        return error_set(error, 0, "--tls-peer is a name in a certificate: it needs --tls-x509");
    if (tls && options->channel && (!strncmp(options->channel, "unix:", 5) || !strncmp(options->channel, "file:", 5)))
        return error_set(error, 0, "%s: TLS is for tcp:HOST:PORT and fd:N", options->channel);
    if (tls && !options->channel && strcmp(options->channel_name, "tcp"))
        return error_set(error, 0, "TLS is for --channel tcp");
    if (tls && options->same_device)
        return error_set(error, 0, "--same-device: the guest goes by way of a file, which TLS has no part in");
    if (tls && options->share_ram)
        return error_set(error, 0, "--ram share: no memory can be handed over through TLS");
    return 0;
}

int stream_security_prepare(const struct options *options, enum tls_role role, struct channel_address *address,
                            struct tls_credentials **credentials, struct error *error)
{
    *credentials = NULL;
    address->exposed = options->insecure || tls_wanted(&options->tls);
    if (!tls_wanted(&options->tls))
        return 0;
    *credentials =
        tls_credentials_read(&options->tls, role, address->kind == CHANNEL_TCP ? address->host : NULL, error);
    return *credentials ? 0 : -1;
}

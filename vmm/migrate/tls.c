/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/io.h"
#include "vmm/migrate/tls_credentials.h"

/* A TLS record's. Small parts are sent together in one, since each costs 22 bytes and a call. */
#define RECORD_SIZE (16u << 10)
/* For the other end to read why it is refused. */
#define LINGER_MS 1000u
/* Of a message of the handshake, certificates included. */
#define TLS_HANDSHAKE_MAX 65536u

/* Forward secrecy in both: a key that is found out later opens nothing that was recorded. */
#define PRIORITY_X509 "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define PRIORITY_PSK PRIORITY_X509 ":-KX-ALL:+ECDHE-PSK:+DHE-PSK"

struct tls {
    gnutls_session_t session;
    const struct tls_credentials *credentials;
    int fd;
    bool heard;                   /* something came through from the other end */
    gnutls_typed_vdata_st due[2]; /* of the other end's certificate: the session looks into it */
    uint8_t binding[TLS_BINDING_SIZE];
    size_t staged; /* bytes of the record that is being filled */
    uint8_t record[RECORD_SIZE];
};

static ssize_t push(gnutls_transport_ptr_t context, const giovec_t *vector, int count)
{
    struct tls *tls = context;
    struct msghdr message = {.msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(tls->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return sent;
}

static ssize_t pull(gnutls_transport_ptr_t context, void *data, size_t size)
{
    struct tls *tls = context;
    ssize_t got = recv(tls->fd, data, size, MSG_DONTWAIT);

    if (got < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return got;
}

/*
 * After a call that came to nothing: 0 where it is to be made again. What is not the data asked for (an empty record, say)
 * is no progress: whoever sends nothing else is waited for until the deadline like one who sends nothing.
 */
static int go_on(struct tls *tls, int result, struct deadline deadline, const char *what, struct error *error)
{
    short events = gnutls_record_get_direction(tls->session) ? POLLOUT : POLLIN;

    if (result != 0 && gnutls_error_is_fatal(result))
        return error_set(error, 0, "TLS with %s: %s", what, gnutls_strerror(result));
    if (deadline_expired(deadline))
        return error_set(error, ETIMEDOUT, "waiting to %s %s under TLS", events == POLLIN ? "read from" : "write to",
                         what);
    return result == GNUTLS_E_AGAIN ? io_wait(tls->fd, events, deadline, what, error) : 0;
}

static int broken(const struct tls *tls, int result, const char *doing, const char *what, struct error *error)
{
    const char *rule = tls->heard ? "" : "stream/not-authenticated";

    /* Of TLS 1.3 a client is through before the server has looked at its certificate: the refusal comes afterwards. */
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return error_rule(error, rule, ECONNRESET, "%s %s: it ended the connection (%s)", doing, what,
                          gnutls_alert_get_name(gnutls_alert_get(tls->session)));
    return error_set(error, ECONNRESET, "%s %s: %s", doing, what, gnutls_strerror(result));
}

/* Why the other end's certificate is not taken. */
static void describe_certificate(struct tls *tls, const char *what, struct error *error)
{
    unsigned int status = gnutls_session_get_verify_cert_status(tls->session);
    gnutls_datum_t text = {.data = NULL};

    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
        text.data = NULL;
    error_rule(error, "stream/not-authenticated", 0, "the certificate of %s is refused%s%s%s: %s", what,
               tls->credentials->peer[0] ? " for the name " : "", tls->credentials->peer,
               tls->credentials->peer[0] ? " (--tls-peer)" : "", text.data ? (char *)text.data : "?");
    gnutls_free(text.data);
}

static int handshake_failed(struct tls *tls, int result, const char *what, struct error *error)
{
    switch (result) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
        describe_certificate(tls, what, error);
        return -1;
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return error_rule(
            error, "stream/not-authenticated", 0,
            "%s ended the TLS handshake: %s; both ends need the same key, or certificates of one authority", what,
            gnutls_alert_get_name(gnutls_alert_get(tls->session)));
    case GNUTLS_E_PREMATURE_TERMINATION:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        return error_rule(error, "stream/not-authenticated", ECONNRESET,
                          "%s closed the connection in the TLS handshake; it may have no TLS options", what);
    default:
        return error_rule(error, "stream/not-authenticated", 0, "the TLS handshake with %s: %s", what,
                          gnutls_strerror(result));
    }
}

/*
 * A socket that is closed with something unread in it takes back what was sent last, and with it the alert: what the other
 * end had sent on is thrown away until it closes.
 */
static void linger(struct tls *tls)
{
    struct deadline deadline = deadline_in_ms(LINGER_MS);
    ssize_t count = 1;

    shutdown(tls->fd, SHUT_WR);
    while (count > 0 && !deadline_expired(deadline) && io_wait(tls->fd, POLLIN, deadline, "", NULL) == 0)
        count = recv(tls->fd, tls->record, sizeof(tls->record), MSG_DONTWAIT);
}

static int handshake(struct tls *tls, struct deadline deadline, const char *what, struct error *error)
{
    for (;;) {
        int result = gnutls_handshake(tls->session);

        if (result == 0)
            break;
        if (gnutls_error_is_fatal(result)) {
            /* The other end is told what is wrong with it, as far as its socket has room. */
            gnutls_alert_send_appropriate(tls->session, result);
            linger(tls);
            return handshake_failed(tls, result, what, error);
        }
        if (go_on(tls, result, deadline, what, error) < 0)
            return error_prefix(error, "in the TLS handshake");
    }
    return 0;
}

static int set_credentials(struct tls *tls)
{
    const struct tls_credentials *credentials = tls->credentials;

    if (credentials->psk_client)
        return gnutls_credentials_set(tls->session, GNUTLS_CRD_PSK, credentials->psk_client);
    if (credentials->psk_server)
        return gnutls_credentials_set(tls->session, GNUTLS_CRD_PSK, credentials->psk_server);
    return gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, credentials->x509);
}

/* Both ends' certificates are verified, within the handshake. */
static void verify_certificates(struct tls *tls)
{
    const struct tls_credentials *credentials = tls->credentials;
    const char *purpose = credentials->role == TLS_SERVER ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;

    tls->due[0] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose};
    tls->due[1] = (gnutls_typed_vdata_st){.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)credentials->peer};
    if (credentials->role == TLS_SERVER)
        gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(tls->session, tls->due, credentials->peer[0] ? 2 : 1, 0);
}

static int prepare(struct tls *tls)
{
    const struct tls_credentials *credentials = tls->credentials;
    unsigned int end = credentials->role == TLS_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT;
    int result = gnutls_init(&tls->session,
                             end | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT);

    if (result < 0) {
        tls->session = NULL;
        return result;
    }
    gnutls_session_set_ptr(tls->session, (void *)credentials);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_vec_push_function(tls->session, push);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_handshake_set_max_packet_length(tls->session, TLS_HANDSHAKE_MAX);
    /* This file's deadlines hold, not the library's. */
    gnutls_handshake_set_timeout(tls->session, GNUTLS_INDEFINITE_TIMEOUT);
    result = gnutls_priority_set_direct(tls->session, credentials->x509 ? PRIORITY_X509 : PRIORITY_PSK, NULL);
    if (result == 0)
        result = set_credentials(tls);
    if (result == 0 && credentials->x509)
        verify_certificates(tls);
    return result;
}

static int take_binding(struct tls *tls, const char *what, struct error *error)
{
    gnutls_datum_t binding;
    int result = gnutls_session_channel_binding(tls->session, GNUTLS_CB_TLS_EXPORTER, &binding);

    if (result < 0)
        return error_set(error, 0, "TLS with %s: %s", what, gnutls_strerror(result));
    if (binding.size == sizeof(tls->binding))
        memcpy(tls->binding, binding.data, sizeof(tls->binding));
    result = binding.size == sizeof(tls->binding)
                 ? 0
                 : error_set(error, 0, "TLS with %s: a channel binding of %u bytes", what, binding.size);
    gnutls_free(binding.data);
    return result;
}

struct tls *tls_open(const struct tls_credentials *credentials, int fd, struct deadline deadline, const char *what,
                     struct error *error)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    int result;

    if (!tls) {
        error_set(error, ENOMEM, "TLS with %s", what);
        return NULL;
    }
    tls->credentials = credentials;
    tls->fd = fd;
    result = prepare(tls);
    if (result < 0)
        error_set(error, 0, "TLS with %s: %s", what, gnutls_strerror(result));
    else
        result = handshake(tls, deadline, what, error);
    if (result == 0)
        result = take_binding(tls, what, error);
    if (result == 0)
        return tls;
    if (tls->session)
        gnutls_deinit(tls->session);
    free(tls);
    return NULL;
}

void tls_close(struct tls *tls)
{
    if (!tls)
        return;
    gnutls_bye(tls->session, GNUTLS_SHUT_WR);
    gnutls_deinit(tls->session);
    explicit_bzero(tls, sizeof(*tls));
    free(tls);
}

static int send_all(struct tls *tls, const uint8_t *data, size_t size, struct deadline deadline, const char *what,
                    struct error *error)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = gnutls_record_send(tls->session, data + done, size - done);

        if (count > 0) {
            done += (size_t)count;
            continue;
        }
        if (count < 0 && gnutls_error_is_fatal((int)count))
            return broken(tls, (int)count, "sending to", what, error);
        if (go_on(tls, (int)count, deadline, what, error) < 0)
            return -1;
    }
    return 0;
}

static int send_staged(struct tls *tls, struct deadline deadline, const char *what, struct error *error)
{
    size_t size = tls->staged;

    tls->staged = 0;
    return send_all(tls, tls->record, size, deadline, what, error);
}

static int send_part(struct tls *tls, const uint8_t *data, size_t size, struct deadline deadline, const char *what,
                     struct error *error)
{
    while (size) {
        size_t part = size - size % RECORD_SIZE;

        if (!tls->staged && part) {
            if (send_all(tls, data, part, deadline, what, error) < 0)
                return -1;
        } else {
            part = size < RECORD_SIZE - tls->staged ? size : RECORD_SIZE - tls->staged;
            memcpy(tls->record + tls->staged, data, part);
            tls->staged += part;
            if (tls->staged == RECORD_SIZE && send_staged(tls, deadline, what, error) < 0)
                return -1;
        }
        data += part;
        size -= part;
    }
    return 0;
}

int tls_send(struct tls *tls, const struct iovec *vector, size_t vector_count, struct deadline deadline,
             const char *what, struct error *error)
{
    for (size_t i = 0; i < vector_count; i++)
        if (send_part(tls, vector[i].iov_base, vector[i].iov_len, deadline, what, error) < 0)
            return -1;
    return send_staged(tls, deadline, what, error);
}

int tls_read_full(struct tls *tls, void *data, size_t size, struct deadline deadline, const char *what,
                  struct error *error)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count = gnutls_record_recv(tls->session, (uint8_t *)data + done, size - done);

        if (count > 0) {
            tls->heard = true;
            done += (size_t)count;
            continue;
        }
        if (count == 0 || count == GNUTLS_E_PREMATURE_TERMINATION)
            return error_set(error, ECONNRESET, "%s closed the connection after %zu of %zu bytes", what, done, size);
        if (gnutls_error_is_fatal((int)count))
            return broken(tls, (int)count, "reading from", what, error);
        if (go_on(tls, (int)count, deadline, what, error) < 0)
            return -1;
    }
    return 0;
}

void tls_binding(const struct tls *tls, uint8_t binding[TLS_BINDING_SIZE])
{
    memcpy(binding, tls->binding, TLS_BINDING_SIZE);
}

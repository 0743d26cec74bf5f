#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include "cli/doctor.h"
#include "io/tls_expiry.h"

#define TIMEOUT_MS 3000

void doctor_clock(struct doctor *d)
{
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);
    if (state < 0 || state == TIME_ERROR || (t.status & STA_UNSYNC))
        doctor_found(d, DOCTOR_WARN, "clock", "timedatectl set-ntp true",
                     "nobody keeps this machine's clock right; leases do not depend on it, certificates and tokens do");
    else
        doctor_found(d, DOCTOR_OK, "clock", NULL, "kept right, within %.0f ms", (double)t.maxerror / 1000);
}

static void tell(void *user, enum doctor_level level, const char *about, const char *advice, const char *text)
{
    doctor_found(user, level, about, advice, "%s", text);
}

static void say_expiry(struct doctor *d, const char *about, int64_t seconds)
{
    health_tell_certificate(about, seconds, tell, d);
}

static void check_file(struct doctor *d, const char *option, const char *variable)
{
    const char *path = option ? option : getenv(variable);
    struct tenure_error err = {0};
    int64_t seconds;
    if (!path || !*path)
        return;
    if (io_tls_expiry_file(path, &seconds, &err) < 0)
        doctor_found(d, DOCTOR_BAD, path, NULL, "%s", err.text);
    else
        say_expiry(d, path, seconds);
}

static void check_server(struct doctor *d, const char *endpoint)
{
    struct io_address at;
    struct tenure_error err = {0};
    int64_t seconds;
    if (io_address_parse(endpoint, 2379, &at, &err) < 0 || !at.tls)
        return;
    if (io_tls_expiry_peer(&at, TIMEOUT_MS, &seconds, &err) < 0)
        doctor_found(d, DOCTOR_WARN, endpoint, NULL, "%s", err.text);
    else
        say_expiry(d, endpoint, seconds);
}

void doctor_certificates(struct doctor *d)
{
    check_file(d, d->g->cert_file, "TENURE_CERT");
    check_file(d, d->g->ca_file, "TENURE_CACERT");
    for (size_t i = 0; i < tenure_endpoints(d->client); i++)
        check_server(d, tenure_endpoint(d->client, i));
}

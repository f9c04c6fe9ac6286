/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DEVICE arguments, and devices whose server cannot be started or ends badly. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stopcopy/vfio_compat.h"
#include "vmm/cmd/device_spec.h"

static struct device_spec parse(const char *text)
{
    struct device_spec spec;
    struct error error = ERROR_INIT;

    cr_assert_eq(device_spec_parse(text, &spec, &error), 0, "%s", error.text);
    return spec;
}

Test(device_spec, a_test_device_without_options_has_the_servers_defaults)
{
    struct device_spec spec = parse("test");

    cr_assert_eq(spec.kind, DEVICE_TEST);
    cr_assert_str_eq(spec.model, "dma");
    cr_assert_not(spec.memory.given);
    cr_assert_not(spec.features.given);
    cr_assert_not(spec.dma_by_message);
    cr_assert_eq(spec.fault_count, 0);
    cr_assert_null(spec.to);
}

Test(device_spec, every_option_of_a_test_device)
{
    struct device_spec spec =
        parse("test:model=uart,memory=64M,window=128K:trapped,queues=4,vectors=9,latency=50us,"
              "dirty-rate=1G,features=stop-copy+p2p+pre-copy,dma=message,fault=a,fault=b:arc=stop:n=2");

    cr_assert_str_eq(spec.model, "uart");
    cr_assert_eq(spec.memory.value, 64 << 20);
    cr_assert_eq(spec.window.value, 128 << 10);
    cr_assert(spec.window_trapped);
    cr_assert_eq(spec.queues.value, 4);
    cr_assert_eq(spec.vectors.value, 9);
    cr_assert_eq(spec.latency.value, 50000);
    cr_assert_eq(spec.dirty_rate.value, 1 << 30);
    cr_assert_eq(spec.features.value, 7);
    cr_assert(spec.dma_by_message);
    cr_assert_eq(spec.fault_count, 2);
    cr_assert_str_eq(spec.faults[0], "a");
    cr_assert_str_eq(spec.faults[1], "b,arc=stop,n=2");
    cr_assert(parse("test:features=none").features.given);
    cr_assert_not(parse("test:window=0").window_trapped);
}

Test(device_spec, every_model_of_the_server)
{
    static const char *const models[] = {"dma", "tally", "uart"};

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        char text[32];
        struct device_spec spec;

        snprintf(text, sizeof(text), "test:model=%s", models[i]);
        spec = parse(text);
        cr_expect_str_eq(spec.model, models[i]);
        device_spec_free(&spec);
    }
}

Test(device_spec, other_devices)
{
    struct device_spec spec = parse("vfio-user:/run/x.sock,dma=message");

    cr_assert_eq(spec.kind, DEVICE_VFIO_USER);
    cr_assert_str_eq(spec.target, "/run/x.sock");
    cr_assert(spec.dma_by_message);
    spec = parse("vfio:/dev/vfio/12,0000:03:00.1");
    cr_assert_eq(spec.kind, DEVICE_VFIO);
    cr_assert_str_eq(spec.target, "/dev/vfio/12,0000:03:00.1");
}

Test(device_spec, the_destination_has_options_of_its_own)
{
    struct device_spec spec = parse("test:queues=2,to=test:queues=3,latency=1ms");

    cr_assert_eq(spec.queues.value, 2);
    cr_assert_not(spec.latency.given);
    cr_assert_str_eq(spec.name, "test:queues=2");
    cr_assert_not_null(spec.to);
    cr_assert_eq(spec.to->queues.value, 3);
    cr_assert_eq(spec.to->latency.value, 1000000);
    device_spec_free(&spec);
    cr_assert_null(spec.to);
}

Test(device_spec, what_is_wrong_is_named)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "test[:KEY=VALUE,...]"},
        {"tests", "vfio-user:SOCKET"},
        {"test:memroy=1M", "no option 'memroy'; there are model, memory"},
        {"vfio:", "the device is missing"},
        {"vfio:01:00.0,no-map", "no option 'no-map'; there are vf-token"},
        {"vfio:01:00.0,vf-token=1234", "'1234' is no UUID"},
        {"vfio:01:00.0,vf-token=00112233-4455-6677-8899-aabbccddeeff0", "is no UUID"},
        {"vfio:01:00.0,vf-token=0011223g-4455-6677-8899-aabbccddeeff", "is no UUID"},
        {"vfio:01:00.0,reset=soft", "none of flr, hot and none"},
        {"vfio:01:00.0,fd=x", "fd"},
        {"vfio:01:00.0,rom=1", "neither on nor off"},
        {"test:model=gpu", "there are dma, tally and uart"},
        {"test:queues=0", "queues"},
        {"test:queues=17", "from 1 to 16"},
        {"test:vectors=2049", "from 1 to 2048"},
        {"test:memory=lots", "is not a size"},
        {"test:window=:trapped", "is not a size"},
        {"test:window=64K:shared", "is not a size"},
        {"test:latency=5", "is not a time"},
        {"test:features=stopcopy", "no 'stopcopy'; there are stop-copy"},
        {"test:features=", "no ''"},
        {"test:dma=slow", "neither fd nor message"},
        {"test:fault=", "not a fault's name"},
        {"test:=1", "without a name"},
        {"vfio-user:", "socket's path is missing"},
        {"vfio-user:,dma=fd", "socket's path is missing"},
        {"vfio-user:/x,queues=1", "no option 'queues'"},
        {"vfio:", "is missing"},
        {"test,to=", "test[:KEY=VALUE,...]"},
        {"test,to=test,to=test", "no destination of its own"},
        {"test:fault=1,fault=2,fault=3,fault=4,fault=5,fault=6,fault=7,fault=8,fault=9", "more than 8"},
    };
    char large[400];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct device_spec spec;
        struct error error = ERROR_INIT;

        cr_assert_eq(device_spec_parse(cases[i].text, &spec, &error), -1, "'%s' was taken", cases[i].text);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s", error.text);
    }
    for (size_t length = 100; length < sizeof(large); length += 50) {
        struct device_spec spec;

        memset(large, 'x', length);
        large[length] = '\0';
        memcpy(large, "vfio-user:", 10);
        cr_assert_eq(device_spec_parse(large, &spec, NULL), length < 138 ? 0 : -1);
        memcpy(large, "test:fault=", 11);
        cr_assert_eq(device_spec_parse(large, &spec, NULL), length < 138 ? 0 : -1);
    }
}

static int open_with(const char *program, struct error *error)
{
    struct device_spec spec = parse("test");
    struct opened_device opened;

    cr_assert_eq(device_open(&spec, program, 2000000000u, &opened, error), -1);
    cr_assert_null(opened.device);
    /* No process is left behind. */
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
    return error->number;
}

Test(device_open, a_server_that_cannot_be_started_is_named)
{
    struct error error = ERROR_INIT;

    cr_assert_eq(open_with("/nonexistent/device", &error), ENOENT);
    cr_assert_not_null(strstr(error.text, "/nonexistent/device"), "%s", error.text);
    setenv("STOPCOPY_DEVICE", "/nonexistent/other", 1);
    open_with(NULL, &error);
    cr_assert_not_null(strstr(error.text, "/nonexistent/other"), "%s", error.text);
}

Test(device_open, a_server_that_ends_at_once_is_told_by_its_status)
{
    struct error error = ERROR_INIT;

    open_with("/bin/false", &error);
    cr_assert_not_null(strstr(error.text, "status 1"), "%s", error.text);
}

Test(device_open, a_device_of_the_kernels_that_is_not_there_is_said_to_be_missing)
{
    struct device_spec spec = parse("vfio:ffff:ff:1f.7");
    struct opened_device opened;
    struct error error = ERROR_INIT;

    cr_assert_eq(device_open(&spec, NULL, 1000000000u, &opened, &error), -1);
    cr_assert_not_null(strstr(error.text, "vfio:ffff:ff:1f.7: this host has no PCI device ffff:ff:1f.7"), "%s",
                       error.text);
}

Test(device_spec, every_option_of_a_kernel_device)
{
    struct device_spec spec = parse("vfio:/dev/vfio/7,0000:03:00.1,vf-token=00112233-4455-6677-8899-aAbbccddeeff,fd=9,"
                                    "no-mmap,rom=off,reset=hot,to=vfio:01:00.0");
    static const uint8_t token[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

    cr_expect_str_eq(spec.target, "/dev/vfio/7,0000:03:00.1");
    cr_expect(spec.kernel.has_token);
    cr_expect_arr_eq(spec.kernel.token, token, sizeof(token));
    cr_expect_eq(spec.kernel.fd, 9);
    cr_expect(spec.kernel.no_mmap);
    cr_expect(spec.kernel.no_rom);
    cr_expect_eq(spec.kernel.reset, KERNEL_RESET_HOT);
    cr_assert_not_null(spec.to);
    cr_expect_str_eq(spec.to->target, "01:00.0");
    cr_expect_eq(spec.to->kernel.fd, -1);
    cr_expect_not(spec.to->kernel.no_mmap);
    device_spec_free(&spec);
}

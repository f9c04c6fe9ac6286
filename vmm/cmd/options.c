/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/cmd/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/options.h"
#include "vmm/cmd/cmd.h"
#include "vmm/cmd/device_spec.h"
#include "vmm/cmd/stream_security.h"
#include "vmm/proof/workload.h"
#include "vmm/report/baseline.h"
#include "vmm/report/event_form.h"

#define DEFAULT_AT_OPS 10000u
#define DEFAULT_MEMORY (256ull << 20)
#define DEFAULT_WORKING_SET (16ull << 20)
#define DEFAULT_MEMORY_RATE (100ull << 20)
#define DEFAULT_DEPTH 16u

enum key {
    KEY_MEMORY = 0x100,
    KEY_VCPUS,
    KEY_DEVICE,
    KEY_WORKLOAD,
    KEY_SEED,
    KEY_OPS,
    KEY_AT_OPS,
    KEY_REPORT,
    KEY_FAULT,
    KEY_IMAGE,
    KEY_IRQCHIP,
    KEY_CONSOLE,
    KEY_VERIFY,
    KEY_NO_P2P,
    KEY_ORDER,
    KEY_VFIO,
    KEY_DIRTY_LOG,
    KEY_TIMEOUT,
    KEY_MESSAGE_TIMEOUT,
    KEY_ARC_TIMEOUT,
    KEY_STOP_HOLD,
    KEY_LIMIT_DOWNTIME,
    KEY_AT,
    KEY_HOLD_AT,
    KEY_COMMAND_LIMIT,
    KEY_HOLD_LIMIT,
    KEY_ON_FINDING,
    KEY_LIST_STEPS,
    KEY_UAPI_LOG,
    KEY_BASELINE,
    KEY_KEEP_ON_FAIL,
    KEY_MODE,
    KEY_MAX_DOWNTIME,
    KEY_MAX_ROUNDS,
    KEY_NO_CONVERGENCE,
    KEY_THROTTLE,
    KEY_CHANNEL,
    KEY_SAME_DEVICE,
    KEY_RAM,
    KEY_REPEAT,
    KEY_TLS_PSK,
    KEY_TLS_X509,
    KEY_TLS_PEER,
    KEY_INSECURE,
    KEY_NO_SANDBOX,
    KEY_RESET_ON_ERROR,
    KEY_TO,
    KEY_FROM,
};

struct known_option {
    unsigned int which; /* 0: every command */
    struct argp_option option;
};

static const struct known_option known[] = {
    {0,
     {"device", KEY_DEVICE, "DEVICE", 0,
      "pass this device through (repeat): test[:KEY=VALUE,...], vfio-user:SOCKET or vfio:BDF; ,to=DEVICE names the "
      "destination's",
      1}},
    {0,
     {"vfio", KEY_VFIO, "group|cdev", 0,
      "the way to the kernel's devices (cdev where it is there and nothing needs group)", 1}},
    {OPTIONS_GUEST, {"memory", KEY_MEMORY, "SIZE", 0, "RAM of the guest (256M)", 1}},
    {OPTIONS_GUEST, {"vcpus", KEY_VCPUS, "N", 0, "vCPUs of the guest (2)", 1}},
    {OPTIONS_GUEST,
     {"irqchip", KEY_IRQCHIP, "split|full", 0, "interrupt controller (split; full where a device has INTx alone)", 1}},
    {OPTIONS_GUEST,
     {"workload", KEY_WORKLOAD, "NAME[,KEY=VALUE]", 0,
      "dma[,depth=N,p2p=on|off], uart, edu, tally, memory[,size=SIZE,rate=SIZE], cpu, clock (repeat; all of them "
      "where none is given)",
      1}},
    {OPTIONS_GUEST, {"seed", KEY_SEED, "N", 0, "seed of the workloads (1)", 1}},
    {OPTIONS_GUEST, {"ops", KEY_OPS, "N", 0, "operations of the leading workload, in all", 1}},
    {OPTIONS_GUEST | OPTIONS_FROM,
     {"at-ops", KEY_AT_OPS, "N", 0,
      "operations of the leading workload before each migration, and after the last (10000)", 1}},
    {OPTIONS_GUEST, {"image", KEY_IMAGE, "FILE", 0, "the guest's image", 1}},
    {0, {"console", KEY_CONSOLE, NULL, 0, "show the guest's console on standard error at the end", 1}},
    {0,
     {"report", KEY_REPORT, "FORMAT[:FILE]", 0,
      "text, json, tap, junit, trace or html (repeat; text on standard output)", 2}},
    {0, {"baseline", KEY_BASELINE, "FILE", 0, "compare with an earlier report, in JSON", 2}},
    {0,
     {"keep-on-fail", KEY_KEEP_ON_FAIL, "FILE.tar", 0,
      "where it is a FAIL, keep the devices' streams, logs, console and reports in a tar", 2}},
    {0, {"fault", KEY_FAULT, "NAME[,KEY=VALUE]", 0, "put a fault in on purpose (stopcopy faults lists them)", 2}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"mode", KEY_MODE, "stop-copy|pre-copy", 0, "send everything after the stop, or what can be before it (stop-copy)",
      3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"max-downtime", KEY_MAX_DOWNTIME, "TIME", 0,
      "pre-copy: stop when what is left is estimated to take no longer (300ms)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"dirty-log", KEY_DIRTY_LOG, "auto|device|iommu|all-pages|none", 0,
      "pre-copy: whose log says what a device wrote (auto: the device's, else the IOMMU's, else all pages)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO, {"max-rounds", KEY_MAX_ROUNDS, "N", 0, "pre-copy: rounds at most (30)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"throttle", KEY_THROTTLE, "PERCENT", 0,
      "pre-copy: hold the vCPUs for up to this share of the time where rounds do not get shorter (0)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"on-no-convergence", KEY_NO_CONVERGENCE, "stop|give-up", 0,
      "after the last round stop all the same, or cancel the migration (stop)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"ram", KEY_RAM, "copy|share", 0,
      "send RAM, or hand its memory over as it is, to a destination on this host (copy)", 3}},
    {OPTIONS_MIGRATE, {"channel", KEY_CHANNEL, "unix|tcp", 0, "what the stream goes over (unix)", 3}},
    {OPTIONS_MIGRATE,
     {"same-device", KEY_SAME_DEVICE, NULL, 0,
      "with one device alone: save the guest, close the device, open it again, and load the guest", 3}},
    {OPTIONS_MIGRATE, {"repeat", KEY_REPEAT, "N", 0, "migrate N times, there and back again (1)", 3}},
    {OPTIONS_TO,
     {"to", KEY_TO, "CHANNEL", 0,
      "unix:PATH, tcp:HOST:PORT or fd:N of the destination, or file:PATH to save the guest in", 3}},
    {OPTIONS_FROM,
     {"from", KEY_FROM, "CHANNEL", 0,
      "unix:PATH, tcp:HOST:PORT or fd:N to be reached at, or file:PATH that a guest was saved in", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO | OPTIONS_FROM,
     {"tls-psk", KEY_TLS_PSK, "FILE", 0,
      "protect the stream over TCP by a key that both ends know: a line NAME:KEY, in hex (docs/security.md)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO | OPTIONS_FROM,
     {"tls-x509", KEY_TLS_X509, "DIR", 0,
      "protect the stream over TCP by certificates: ca-cert.pem and this end's in DIR", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO | OPTIONS_FROM,
     {"tls-peer", KEY_TLS_PEER, "NAME", 0,
      "the name that the other end's certificate must have (the host of --to; any for --from)", 3}},
    {OPTIONS_TO | OPTIONS_FROM,
     {"insecure", KEY_INSECURE, NULL, 0, "allow TCP to and from other hosts without TLS", 3}},
    {OPTIONS_MIGRATE | OPTIONS_FROM,
     {"verify", KEY_VERIFY, "full|deferred|off", 0,
      "compare all RAM with the source's: before the guest goes on, or while it runs (full)", 3}},
    {OPTIONS_GUEST | OPTIONS_TRANSFER,
     {"no-p2p", KEY_NO_P2P, NULL, 0,
      "keep the devices from each other's BARs, which allows several devices of which one has no P2P state", 3}},
    {OPTIONS_MIGRATE | OPTIONS_FROM,
     {"order", KEY_ORDER, "stopcopy|qemu|cloud-hypervisor", 0,
      "whose order of RESUMING, configuration and interrupts the destination plays (stopcopy)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"reset-on-error", KEY_RESET_ON_ERROR, NULL, 0,
      "reset a source device that a failed migration left in ERROR, so that the guest goes on without what it had in "
      "it",
      3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"stop-hold", KEY_STOP_HOLD, "TIME", 0,
      "how long RAM and interrupts of the source are watched after the switch, 0 for not at all (20ms)", 3}},
    {OPTIONS_MIGRATE | OPTIONS_TO,
     {"limit-downtime", KEY_LIMIT_DOWNTIME, "TIME", 0, "a longer downtime is a finding", 3}},
    {0,
     {"on-finding", KEY_ON_FINDING, "COMMAND", 0,
      "run this at each finding: STOPCOPY_RULE and STOPCOPY_TEXT say which (docs/by-hand.md)", 3}},
    {0, {"uapi-log", KEY_UAPI_LOG, "FILE", 0, "write every call to the devices to FILE, a line of JSON each", 3}},
    {OPTIONS_TRANSFER,
     {"at", KEY_AT, "STEP:COMMAND", 0, "run this command at a step of the migration, and wait for it (repeat)", 3}},
    {OPTIONS_TRANSFER,
     {"hold-at", KEY_HOLD_AT, "STEP", 0, "stop at a step until a line on the terminal or SIGCONT (repeat)", 3}},
    {OPTIONS_TRANSFER,
     {"command-limit", KEY_COMMAND_LIMIT, "TIME", 0, "longest time of a command at a step or a finding (10s)", 3}},
    {OPTIONS_TRANSFER, {"hold-limit", KEY_HOLD_LIMIT, "TIME", 0, "longest time to hold at a step (10min)", 3}},
    {OPTIONS_TRANSFER, {"list-steps", KEY_LIST_STEPS, NULL, 0, "list the steps, and do nothing", 3}},
    {0,
     {"no-sandbox", KEY_NO_SANDBOX, NULL, 0,
      "leave the VMM and test devices all system calls, not only those that they need (docs/security.md)", 4}},
    {OPTIONS_TRANSFER,
     {"timeout", KEY_TIMEOUT, "TIME", 0, "limit of each wait for the other end or the guest (60s)", 4}},
    {0, {"message-timeout", KEY_MESSAGE_TIMEOUT, "TIME", 0, "limit of each answer of a device (20s)", 4}},
    {OPTIONS_TRANSFER,
     {"arc-timeout", KEY_ARC_TIMEOUT, "TIME", 0, "limit of each change of a device's state (120s)", 4}},
};

struct parser {
    struct options *options;
    bool workloads_given;
};

/* One of two words. Returns 1 for the second. */
static int choose(const char *option, const char *text, const char *first, const char *second, struct error *error)
{
    if (!strcmp(text, first))
        return 0;
    if (!strcmp(text, second))
        return 1;
    return error_set(error, 0, "%s: '%s' is neither %s nor %s", option, text, first, second);
}

static int set_order(struct options *options, const char *text, struct error *error)
{
    static const char *const names[] = {[DEVICE_ORDER_STOPCOPY] = "stopcopy",
                                        [DEVICE_ORDER_QEMU] = "qemu",
                                        [DEVICE_ORDER_CLOUD_HYPERVISOR] = "cloud-hypervisor"};

    for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        options->order = (enum device_order)i;
        return 0;
    }
    return error_set(error, 0, "--order: '%s' is none of stopcopy, qemu and cloud-hypervisor", text);
}

static int refuse_workload(const char *name, struct error *error)
{
    char names[128] = "";

    for (const struct proof_workload *workload = proof_workloads; workload->id; workload++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", names[0] ? ", " : "",
                 proof_workload_name(workload->id));
    return error_set(error, 0, "--workload: '%s' is none of %s", name, names);
}

static int set_workload(struct parser *parser, char *text, struct error *error)
{
    struct board_wishes *wishes = &parser->options->wishes;
    struct option_pair pair[8];
    int count = option_split(text, "--workload", pair, 8, error);
    const struct proof_workload *workload;
    uint64_t number;
    int chosen;

    if (count < 0)
        return -1;
    if (count == 0)
        return error_set(error, 0, "--workload wants the name of one");
    workload = proof_workload_named(pair[0].key);
    if (!workload)
        return refuse_workload(pair[0].key, error);
    if (!parser->workloads_given)
        memset(wishes->wanted, 0, sizeof(wishes->wanted));
    parser->workloads_given = true;
    wishes->wanted[workload->id] = true;
    for (int i = 1; i < count; i++) {
        if (!strcmp(pair[0].key, "dma") && !strcmp(pair[i].key, "depth")) {
            if (option_parse_number(pair[i].value, "--workload dma,depth", 1, 512, &number, error) < 0)
                return -1;
            wishes->dma_depth = (uint32_t)number;
        } else if (!strcmp(pair[0].key, "dma") && !strcmp(pair[i].key, "p2p")) {
            if ((chosen = choose("--workload dma,p2p", pair[i].value, "on", "off", error)) < 0)
                return -1;
            wishes->dma_p2p = chosen ? BOARD_P2P_OFF : BOARD_P2P_REQUIRED;
        } else if (!strcmp(pair[0].key, "memory") && !strcmp(pair[i].key, "size")) {
            if (option_parse_size(pair[i].value, "--workload memory,size", &wishes->workload_memory_size, error) < 0)
                return -1;
        } else if (!strcmp(pair[0].key, "memory") && !strcmp(pair[i].key, "rate")) {
            if (option_parse_size(pair[i].value, "--workload memory,rate", &wishes->workload_memory_rate, error) < 0)
                return -1;
        } else {
            return error_set(error, 0, "--workload %s has no option '%s'", pair[0].key, pair[i].key);
        }
    }
    return 0;
}

static int add_fault(struct options *options, const char *text, struct error *error)
{
    int device = fault_parse(text, &options->faults, error);

    if (device < 0)
        return -1;
    if (device && options->device_fault_count == OPTIONS_FAULTS_MAX)
        return error_set(error, 0, "--fault: more than %d faults of devices", OPTIONS_FAULTS_MAX);
    if (device)
        options->device_fault[options->device_fault_count++] = text;
    options->any_fault = true;
    return 0;
}

static int set_number(const char *name, const char *text, uint64_t minimum, uint64_t maximum, unsigned int *value,
                      struct error *error)
{
    uint64_t number;

    if (option_parse_number(text, name, minimum, maximum, &number, error) < 0)
        return -1;
    *value = (unsigned int)number;
    return 0;
}

static int set_option(struct parser *parser, int key, char *text, struct error *error)
{
    struct options *options = parser->options;
    int chosen;

    switch (key) {
    case KEY_MEMORY:
        return option_parse_size(text, "--memory", &options->wishes.memory_size, error);
    case KEY_VCPUS:
        return set_number("--vcpus", text, 1, VM_VCPUS_MAX, &options->wishes.vcpus, error);
    case KEY_IRQCHIP:
        chosen = choose("--irqchip", text, "split", "full", error);
        options->full_irqchip = chosen > 0;
        return chosen < 0 ? -1 : 0;
    case KEY_DEVICE:
        if (options->device_count == BOARD_DEVICES_MAX - 1)
            return error_set(error, 0, "--device: more than %d devices", BOARD_DEVICES_MAX - 1);
        options->device[options->device_count++] = text;
        return 0;
    case KEY_WORKLOAD:
        return set_workload(parser, text, error);
    case KEY_SEED:
        return option_parse_number(text, "--seed", 0, UINT64_MAX, &options->wishes.seed, error);
    case KEY_OPS:
        return option_parse_number(text, "--ops", 1, UINT64_MAX, &options->wishes.ops, error);
    case KEY_AT_OPS:
        options->at_ops_given = true;
        return option_parse_number(text, "--at-ops", 1, UINT64_MAX, &options->at_ops, error);
    case KEY_REPORT:
        if (options->report_count == OPTIONS_REPORTS_MAX)
            return error_set(error, 0, "--report: more than %d reports", OPTIONS_REPORTS_MAX);
        return report_parse_target(text, &options->report[options->report_count++], error);
    case KEY_FAULT:
        return add_fault(options, text, error);
    case KEY_IMAGE:
        options->image = text;
        return 0;
    case KEY_CONSOLE:
        options->console = true;
        return 0;
    case KEY_VERIFY:
        if (!strcmp(text, "deferred")) {
            options->verify = VERIFY_DEFERRED;
            return 0;
        }
        chosen = choose("--verify", text, "full", "off", error);
        options->verify = chosen ? VERIFY_OFF : VERIFY_FULL;
        return chosen < 0 ? error_set(error, 0, "--verify: '%s' is none of full, deferred, off", text) : 0;
    case KEY_DIRTY_LOG:
        return dirty_log_parse(text, &options->precopy.dirty_log, error) < 0 ? error_prefix(error, "--dirty-log") : 0;
    case KEY_VFIO:
        return device_spec_parse_way(text, &options->way, error);
    case KEY_NO_P2P:
        options->no_p2p = true;
        options->wishes.peers = false;
        return 0;
    case KEY_TIMEOUT:
        return option_parse_time(text, "--timeout", &options->timeout_ns, error);
    case KEY_MESSAGE_TIMEOUT:
        return option_parse_time(text, "--message-timeout", &options->message_timeout_ns, error);
    case KEY_ARC_TIMEOUT:
        return option_parse_time(text, "--arc-timeout", &options->arc_timeout_ns, error);
    case KEY_AT:
        return step_plan_add_command(&options->steps, text, error);
    case KEY_HOLD_AT:
        return step_plan_add_hold(&options->steps, text, error);
    case KEY_COMMAND_LIMIT:
        return option_parse_time(text, "--command-limit", &options->steps.command_limit_ns, error);
    case KEY_HOLD_LIMIT:
        return option_parse_time(text, "--hold-limit", &options->steps.hold_limit_ns, error);
    case KEY_KEEP_ON_FAIL:
        options->keep.file = text;
        return 0;
    case KEY_ORDER:
        return set_order(options, text, error);
    case KEY_BASELINE:
        options->baseline = text;
        json_decref(options->baseline_report);
        options->baseline_report = baseline_read(text, error);
        return options->baseline_report ? 0 : -1;
    case KEY_UAPI_LOG:
        options->uapi_log = text;
        options->uapi_log_fd = device_log_open(text, error);
        return options->uapi_log_fd < 0 ? -1 : 0;
    case KEY_ON_FINDING:
        options->steps.on_finding = text;
        return 0;
    case KEY_STOP_HOLD:
        return option_parse_time(text, "--stop-hold", &options->stop_hold_ns, error);
    case KEY_LIMIT_DOWNTIME:
        return option_parse_time(text, "--limit-downtime", &options->limit_downtime_ns, error);
    case KEY_MODE:
        chosen = choose("--mode", text, "stop-copy", "pre-copy", error);
        options->pre_copy = chosen > 0;
        return chosen < 0 ? -1 : 0;
    case KEY_MAX_DOWNTIME:
        return option_parse_time(text, "--max-downtime", &options->precopy.max_downtime_ns, error);
    case KEY_MAX_ROUNDS:
        return set_number("--max-rounds", text, 1, PRECOPY_ROUNDS_MAX, &options->precopy.max_rounds, error);
    case KEY_THROTTLE:
        return set_number("--throttle", text, 0, VM_THROTTLE_MAX, &options->precopy.throttle, error);
    case KEY_NO_CONVERGENCE:
        chosen = choose("--on-no-convergence", text, "stop", "give-up", error);
        options->precopy.give_up = chosen > 0;
        return chosen < 0 ? -1 : 0;
    case KEY_CHANNEL:
        options->channel_name = text;
        return choose("--channel", text, "unix", "tcp", error) < 0 ? -1 : 0;
    case KEY_SAME_DEVICE:
        options->same_device = true;
        return 0;
    case KEY_RAM:
        chosen = choose("--ram", text, "copy", "share", error);
        options->share_ram = chosen > 0;
        return chosen < 0 ? -1 : 0;
    case KEY_REPEAT:
        return set_number("--repeat", text, 1, EVENT_LEGS_MAX, &options->repeat, error);
    case KEY_TLS_PSK:
        options->tls.psk_file = text;
        return 0;
    case KEY_TLS_X509:
        options->tls.x509 = text;
        return 0;
    case KEY_TLS_PEER:
        options->tls.peer = text;
        return 0;
    case KEY_RESET_ON_ERROR:
        options->reset_on_error = true;
        return 0;
    case KEY_NO_SANDBOX:
        options->no_sandbox = true;
        return 0;
    case KEY_INSECURE:
        options->insecure = true;
        return 0;
    default:
        options->channel = text;
        return 0;
    }
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    struct error error = ERROR_INIT;

    if (key == KEY_LIST_STEPS) {
        step_plan_list();
        exit(STATUS_INTACT);
    }
    if (key == ARGP_KEY_ARG)
        argp_error(state, "'%s' is not an option", text);
    else if (key < KEY_MEMORY || key > KEY_FROM)
        return ARGP_ERR_UNKNOWN;
    else if (set_option(state->input, key, text, &error) < 0)
        argp_failure(state, STATUS_USAGE, 0, "%s", error.text);
    return 0;
}

/* Does the rest of the options allow for --ram share? If not, says why. */
static bool can_share(const struct options *options, const char *name)
{
    const char *why = NULL;

    if (!strcmp(options->channel_name, "tcp") || (options->channel && !strncmp(options->channel, "tcp:", 4)))
        why = "TCP takes no memory along: RAM can be shared over a UNIX socket only";
    else if (options->channel && !strncmp(options->channel, "file:", 5))
        why = "a file holds no memory that lives: RAM must be copied into it";
    else if (options->same_device)
        why = "with --same-device the guest is saved in a file, which holds no memory that lives: it must be copied";
    else if (options->verify == VERIFY_DEFERRED)
        why = "of shared RAM nothing is left to be verified once the guest runs: --verify can be full or off";
    else if (fault_is_on(&options->faults, VMM_PAGE_NOT_SENT) || fault_is_on(&options->faults, VMM_LOG_IGNORED))
        why = "no page of shared RAM is sent, so none can be left out (--fault)";
    if (why)
        fprintf(stderr, "%s: --ram share: %s\n", name, why);
    return !why;
}

int options_parse(int argc, char **argv, unsigned int which, const char *text, struct options *options)
{
    struct argp_option chosen[sizeof(known) / sizeof(known[0]) + 1] = {0};
    struct argp argp = {.options = chosen, .parser = parse_option, .doc = text};
    struct parser parser = {.options = options};
    struct error error = ERROR_INIT;
    char name[64];
    char *command;
    size_t count = 0;
    int status;

    *options =
        (struct options){.wishes = {.memory_size = DEFAULT_MEMORY,
                                    .vcpus = 2,
                                    .seed = 1,
                                    .dma_depth = DEFAULT_DEPTH,
                                    .dma_p2p = BOARD_P2P_ON,
                                    .peers = true,
                                    .workload_memory_size = DEFAULT_WORKING_SET,
                                    .workload_memory_rate = DEFAULT_MEMORY_RATE},
                         .verify = VERIFY_FULL,
                         .at_ops = DEFAULT_AT_OPS,
                         .repeat = 1,
                         .channel_name = "unix",
                         .precopy = {.max_downtime_ns = 300000000u, .max_rounds = 30},
                         .stop_hold_ns = 20000000u,
                         .steps = {.command_limit_ns = STEP_COMMAND_LIMIT_NS, .hold_limit_ns = STEP_HOLD_LIMIT_NS},
                         .timeout_ns = 60000000000u,
                         .message_timeout_ns = 20000000000u,
                         .arc_timeout_ns = 120000000000u};
    for (const struct proof_workload *workload = proof_workloads; workload->id; workload++)
        options->wishes.wanted[workload->id] = true;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (!known[i].which || known[i].which & which)
            chosen[count++] = known[i].option;
    snprintf(name, sizeof(name), "stopcopy %s", argv[0]);
    command = argv[0];
    argv[0] = name;
    argp_err_exit_status = STATUS_USAGE;
    status = argp_parse(&argp, argc, argv, 0, NULL, &parser) ? STATUS_USAGE : STATUS_INTACT;
    argv[0] = command;
    if (status)
        return status;
    if (options->wishes.ops && which & (OPTIONS_MIGRATE | OPTIONS_TO)) {
        uint64_t share = options->wishes.ops / (options->repeat + 1);

        if (!options->at_ops_given)
            options->at_ops = share;
        if (options->at_ops > share || !share) {
            fprintf(stderr,
                    "%s: --ops %" PRIu64 " leaves no operations for %" PRIu64 " (--at-ops) before each of %u "
                    "migrations and after the last\n",
                    name, options->wishes.ops, options->at_ops, options->repeat);
            return STATUS_USAGE;
        }
    }
    if (step_plan_check(&options->steps, &error) < 0 || stream_security_check(options, &error) < 0) {
        fprintf(stderr, "%s: %s\n", name, error.text);
        return STATUS_USAGE;
    }
    if (options->same_device && strcmp(options->channel_name, "unix")) {
        fprintf(stderr, "%s: --same-device: the guest is saved in a file, and goes over no --channel\n", name);
        return STATUS_USAGE;
    }
    if (options->share_ram && !can_share(options, name))
        return STATUS_USAGE;
    if (fault_is_on(&options->faults, VMM_LOG_IGNORED) && !options->pre_copy) {
        fprintf(stderr, "%s: --fault log-ignored: there is no dirty log without --mode pre-copy\n", name);
        return STATUS_USAGE;
    }
    options->faults.seed = options->wishes.seed;
    if (!options->report_count)
        report_parse_target("text", &options->report[options->report_count++], NULL);
    return STATUS_INTACT;
}

#include "cli/cli.h"

#include "base/sha256.h"

#include <stdlib.h>
#include <sys/utsname.h>

#ifndef FLV_GIT_COMMIT
#define FLV_GIT_COMMIT "unknown"
#endif

struct version_conf {
    bool json;
};

/* The platform's version with the profile that it was asked through. Not
 * having a cluster is no failure here. */
static void platform(struct cli *c, char *out, size_t size)
{
    struct flv_profile target;
    struct flv_err err = {0};
    const char *version = NULL;
    c->only_looks = true;
    if (cli_target(c, &target, &err) == FLV_OK &&
        cli_connect_to(c, &target, &err) == FLV_OK) {
        version = flv_client_platform_version(c->client);
    }
    if (version == NULL) {
        snprintf(out, size, "Not available");
    } else {
        snprintf(out, size, "%s (%s)", version,
                 target.name != NULL ? target.name : target.endpoint);
    }
}

/* Of this program's own file; empty when it cannot be read. */
static void own_hash(char out[FLV_SHA256_HEX])
{
    uint8_t chunk[16384], hash[FLV_SHA256_SIZE];
    struct flv_sha256 h;
    size_t n = 0;
    FILE *f = fopen("/proc/self/exe", "re");
    out[0] = '\0';
    if (f == NULL) {
        return;
    }
    flv_sha256_init(&h);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        flv_sha256_add(&h, chunk, n);
    }
    bool whole = ferror(f) == 0;
    (void)fclose(f);
    flv_sha256_end(&h, hash);
    for (size_t i = 0; i < sizeof hash && whole; i++) {
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}

struct row {
    const char *key, *value; /* value NULL or empty: left out */
};

/* The keys are the row's names, as in Fluvio. */
static void put_json(const struct row *rows, size_t count)
{
    struct cli_doc d;
    cli_doc_init(&d, CLI_FORMAT_JSON);
    cli_doc_map(&d, NULL);
    cli_doc_str(&d, "name", rows[0].key);
    cli_doc_str(&d, "version", rows[0].value);
    for (size_t i = 1; i < count; i++) {
        if (rows[i].value != NULL && rows[i].value[0] != '\0') {
            cli_doc_str(&d, rows[i].key, rows[i].value);
        }
    }
    cli_doc_end(&d);
    if (cli_doc_finish(&d, NULL) == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
}

static void put_table(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].value != NULL && rows[i].value[0] != '\0') {
            cli_say(stdout, " %-17s :  %s", rows[i].key, rows[i].value);
        }
    }
}

static int version_run(struct flv_args *args, void *ctx)
{
    const struct version_conf *conf = flv_args_conf(args);
    char platform_text[256];
    char os[256] = "unknown";
    char arch[80] = "unknown";
    char hash[FLV_SHA256_HEX];
    struct utsname name;
    platform(ctx, platform_text, sizeof platform_text);
    if (uname(&name) == 0) {
        snprintf(os, sizeof os, "%.60s %.60s", name.sysname, name.release);
        snprintf(arch, sizeof arch, "%.60s-linux", name.machine);
    }
    own_hash(hash);
    const struct row rows[] = {
        {"Fluvio CLI", FLV_VERSION},
        {"Fluvio CLI Arch", arch},
        {"Fluvio CLI SHA256", hash},
        {"Release Channel", getenv("FLUVIO_RELEASE_CHANNEL")},
        {"Fluvio Platform", platform_text},
        {"Git Commit", FLV_GIT_COMMIT},
        {"OS Details", os}};
    if (conf->json) {
        put_json(rows, sizeof rows / sizeof rows[0]);
    } else {
        put_table(rows, sizeof rows / sizeof rows[0]);
    }
    return 0;
}

static const struct flv_opt version_opts[] = {
    {.name = "json",
     .letter = 'j',
     FLV_FLAG(struct version_conf, json),
     .help = "Output in JSON format"},
    {.name = NULL}};

const struct flv_cmd cli_cmd_version = {
    .name = "version",
    .about = "Print Fluvio version information",
    .opts = version_opts,
    .conf_size = sizeof(struct version_conf),
    .run = version_run,
};

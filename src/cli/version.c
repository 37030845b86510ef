#include "cli/cli.h"

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

static void
put_json(const char *platform_text, const char *arch, const char *os)
{
    struct cli_doc d;
    cli_doc_init(&d, CLI_FORMAT_JSON);
    cli_doc_map(&d, NULL);
    cli_doc_str(&d, "fluvio_cli_version", FLV_VERSION);
    cli_doc_str(&d, "arch", arch);
    cli_doc_str(&d, "platform_version", platform_text);
    cli_doc_str(&d, "git_commit", FLV_GIT_COMMIT);
    cli_doc_str(&d, "os", os);
    cli_doc_end(&d);
    if (cli_doc_finish(&d, NULL) == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
}

static void
put_table(const char *platform_text, const char *arch, const char *os)
{
    const char *const rows[][2] = {{"Fluvio CLI", FLV_VERSION},
                                   {"Fluvio CLI Arch", arch},
                                   {"Fluvio Platform", platform_text},
                                   {"Git Commit", FLV_GIT_COMMIT},
                                   {"OS Details", os}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf(" %-16s :  %s\n", rows[i][0], rows[i][1]);
    }
}

static int version_run(struct flv_args *args, void *ctx)
{
    const struct version_conf *conf = flv_args_conf(args);
    char platform_text[256];
    char os[256] = "unknown";
    char arch[80] = "unknown";
    struct utsname name;
    platform(ctx, platform_text, sizeof platform_text);
    if (uname(&name) == 0) {
        snprintf(os, sizeof os, "%.60s %.60s", name.sysname, name.release);
        snprintf(arch, sizeof arch, "%.60s-linux", name.machine);
    }
    if (conf->json) {
        put_json(platform_text, arch, os);
    } else {
        put_table(platform_text, arch, os);
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

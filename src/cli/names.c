/* Names for completion: hidden commands that print one a line and nothing
 * else, also when there is no cluster: a shell shows what it gets. */
#include "cli/cli.h"

#include "base/text.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)

struct names_call {
    struct cli_call call;
    struct flv_buf text;
};

static void add_name(struct names_call *n, const char *name)
{
    if (flv_text_is_tidy(flv_slice_str(name))) {
        cli_ignore(flv_buf_addf(&n->text, "%s\n", name));
    }
}

static void got_topics(void *user,
                       const struct flv_err *err,
                       const struct flv_topic_info *topics,
                       size_t count)
{
    struct names_call *n = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        add_name(n, topics[i].name);
    }
    cli_call_end(&n->call, err);
}

static void got_modules(void *user,
                        const struct flv_err *err,
                        const struct flv_smartmodule_info *modules,
                        size_t count)
{
    struct names_call *n = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        add_name(n, modules[i].name);
    }
    cli_call_end(&n->call, err);
}

static void got_formats(void *user,
                        const struct flv_err *err,
                        const struct flv_table_format *formats,
                        size_t count)
{
    struct names_call *n = user;
    for (size_t i = 0; err == NULL && i < count; i++) {
        add_name(n, formats[i].name);
    }
    cli_call_end(&n->call, err);
}

/* Asks the cluster with `ask`; a failure is silence. */
static int print_names(struct cli *c,
                       flv_rc (*ask)(struct cli *c, struct names_call *n))
{
    struct names_call n = {.text = {.data = NULL}};
    flv_buf_init(&n.text, TEXT_BYTES_MAX);
    cli_call_init(&n.call, c);
    c->only_looks = true;
    if (cli_connect(c, NULL) == FLV_OK && ask(c, &n) == FLV_OK &&
        cli_call_wait(&n.call, NULL) == FLV_OK) {
        cli_put(&n.text);
    }
    flv_buf_deinit(&n.text);
    return 0;
}

static flv_rc ask_topics(struct cli *c, struct names_call *n)
{
    return flv_client_topics(c->client, NULL, false, got_topics, n, NULL);
}

static flv_rc ask_modules(struct cli *c, struct names_call *n)
{
    return flv_client_smartmodules(c->client, NULL, false, got_modules, n,
                                   NULL);
}

static flv_rc ask_formats(struct cli *c, struct names_call *n)
{
    return flv_client_table_formats(c->client, NULL, got_formats, n, NULL);
}

static int topic_names(struct flv_args *args, void *ctx)
{
    (void)args;
    return print_names(ctx, ask_topics);
}

static int module_names(struct flv_args *args, void *ctx)
{
    (void)args;
    return print_names(ctx, ask_modules);
}

static int format_names(struct flv_args *args, void *ctx)
{
    (void)args;
    return print_names(ctx, ask_formats);
}

static int profile_names(struct flv_args *args, void *ctx)
{
    (void)args;
    struct cli *c = ctx;
    struct flv_profile p;
    if (cli_profiles(c, NULL) != FLV_OK) {
        return 0;
    }
    for (size_t i = 0; i < flv_profiles_count(c->profiles); i++) {
        flv_profiles_at(c->profiles, i, &p);
        puts(p.name);
    }
    return 0;
}

const struct flv_cmd cli_cmd_topic_names = {
    .name = "names",
    .about = "Print the names of Topics, one a line",
    .flags = FLV_CMD_HIDDEN,
    .run = topic_names,
};

const struct flv_cmd cli_cmd_smartmodule_names = {
    .name = "names",
    .about = "Print the names of SmartModules, one a line",
    .flags = FLV_CMD_HIDDEN,
    .run = module_names,
};

const struct flv_cmd cli_cmd_table_format_names = {
    .name = "names",
    .about = "Print the names of TableFormats, one a line",
    .flags = FLV_CMD_HIDDEN,
    .run = format_names,
};

const struct flv_cmd cli_cmd_profile_names = {
    .name = "names",
    .about = "Print the names of Profiles, one a line",
    .flags = FLV_CMD_HIDDEN,
    .run = profile_names,
};

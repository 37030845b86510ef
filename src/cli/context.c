#include "cli/cli.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

flv_rc cli_home(struct flv_buf *out, struct flv_err *err)
{
    const char *home = getenv("HOME");
    if (home == NULL || home[0] == '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "HOME is not set, so there is no place for "
                        "~/.fluvio; set it");
    }
    flv_rc rc = flv_buf_addf(out, "%s/.fluvio", home);
    if (rc != FLV_OK) {
        return flv_fail(err, rc, "the path in HOME is too long");
    }
    return FLV_OK;
}

flv_rc cli_profiles(struct cli *c, struct flv_err *err)
{
    if (c->profiles != NULL) {
        return FLV_OK;
    }
    return flv_profiles_load(&c->profiles, NULL, err);
}

/* TLS options without a cluster address would silently do nothing. */
static flv_rc check_global(const struct cli_global *g, struct flv_err *err)
{
    bool tls_option = g->enable_client_cert || g->domain != NULL ||
                      g->ca_cert != NULL || g->client_cert != NULL ||
                      g->client_key != NULL;
    if (g->cluster != NULL && g->profile != NULL) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: cluster addr is not valid when "
                        "profile is used");
    }
    if (g->cluster == NULL && (g->tls || tls_option)) {
        return flv_fail(
            err, FLV_E_USAGE,
            "Invalid argument: tls is only valid if cluster addr is used");
    }
    return FLV_OK;
}

/* Nobody is verified unless something says who it should be. */
flv_rc cli_tls_options(const struct cli_global *g,
                       struct flv_client_tls *out,
                       struct flv_err *err)
{
    bool verified = g->enable_client_cert || g->domain != NULL ||
                    g->ca_cert != NULL || g->client_cert != NULL;
    if ((verified || g->client_key != NULL) && !g->tls) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: --domain, --ca-cert and "
                        "certificates are only valid with --tls");
    }
    if ((g->client_cert == NULL) != (g->client_key == NULL) ||
        (g->enable_client_cert &&
         (g->client_cert == NULL || g->domain == NULL || g->ca_cert == NULL))) {
        return flv_fail(err, FLV_E_USAGE,
                        "Invalid argument: a client certificate needs "
                        "--client-cert and --client-key, and with "
                        "--enable-client-cert also --domain and --ca-cert");
    }

    *out = (struct flv_client_tls){.policy = !g->tls    ? FLV_TLS_DISABLED
                                             : verified ? FLV_TLS_VERIFIED
                                                        : FLV_TLS_ANONYMOUS,
                                   .domain = g->domain,
                                   .ca_cert = g->ca_cert,
                                   .cert = g->client_cert,
                                   .key = g->client_key};
    return FLV_OK;
}

flv_rc cli_target(struct cli *c, struct flv_profile *out, struct flv_err *err)
{
    flv_rc rc = check_global(c->global, err);
    if (rc != FLV_OK) {
        return rc;
    }
    if (c->global->cluster != NULL) {
        *out = (struct flv_profile){
            .name = NULL, .partition = -1, .endpoint = c->global->cluster};
        return cli_tls_options(c->global, &out->tls, err);
    }
    rc = cli_profiles(c, err);
    if (rc != FLV_OK) {
        return rc;
    }
    rc = flv_profiles_find(c->profiles, c->global->profile, out, err);
    if (rc == FLV_E_NOT_FOUND && c->global->profile == NULL) {
        return flv_fail(err, rc,
                        "No active profile set in config; start a cluster "
                        "with `fluvio cluster start`, or choose one with "
                        "`fluvio profile switch`");
    }
    if (rc == FLV_OK && out->endpoint == NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "profile %s names the cluster %s, which is not in %s",
                        out->name,
                        out->cluster != NULL ? out->cluster : "(none)",
                        flv_profiles_path(c->profiles));
    }
    return rc;
}

/* ---- Waiting for one request ------------------------------------------- */

void cli_call_init(struct cli_call *call, struct cli *c)
{
    *call = (struct cli_call){.cli = c};
}

void cli_call_end(struct cli_call *call, const struct flv_err *err)
{
    assert(!call->done);
    call->done = true;
    if (err != NULL) {
        call->err = *err;
    }
    flv_loop_stop(call->cli->loop);
}

void cli_call_done(void *user, const struct flv_err *err)
{
    cli_call_end(user, err);
}

flv_rc cli_call_wait(struct cli_call *call, struct flv_err *err)
{
    while (!call->done) {
        flv_loop_run(call->cli->loop);
    }
    if (call->err.rc != FLV_OK && err != NULL) {
        *err = call->err;
    }
    return call->err.rc;
}

/* ---- Connecting -------------------------------------------------------- */

struct connecting {
    struct flv_timer timer;
    struct cli_call call;
    bool told;
};

static void too_slow(struct connecting *k)
{
    struct flv_err err = {0};
    (void)flv_fail(&err, FLV_E_TIMEOUT, "no answer within %d ms",
                   k->call.cli->only_looks ? CLI_LOOK_LIMIT_MS : CLI_LIMIT_MS);
    k->call.cli->leave = true;
    cli_call_end(&k->call, &err);
}

/* Name and addresses have had their time: something has accepted. */
static void tell_terminal(const struct cli *c)
{
    if (isatty(STDERR_FILENO)) {
        cli_say(stderr,
                "%s has accepted the connection and not answered yet; it is "
                "given %d s",
                c->address, CLI_ANSWER_MS / 1000);
    }
}

static void connect_takes_time(struct flv_timer *t)
{
    struct connecting *k = (struct connecting *)(void *)t;
    const struct cli *c = k->call.cli;
    if (k->call.done) {
        return;
    }
    if (c->only_looks || k->told ||
        flv_timer_start(t, CLI_LIMIT_MS - CLI_TELL_MS, 0, NULL) != FLV_OK) {
        too_slow(k);
        return;
    }
    k->told = true;
    tell_terminal(c);
}

static void connect_done(void *user, const struct flv_err *err)
{
    struct connecting *k = user;
    if (!k->call.done) {
        cli_call_end(&k->call, err);
    }
}

/* `k` outlives this call when the deadline comes first. */
static flv_rc
connect_client(struct cli *c, struct connecting *k, struct flv_err *err)
{
    const uint64_t first_ms = c->only_looks ? CLI_LOOK_LIMIT_MS : CLI_TELL_MS;
    cli_call_init(&k->call, c);
    k->told = false;
    flv_timer_init(&k->timer, c->loop, connect_takes_time);
    flv_rc rc = flv_timer_start(&k->timer, first_ms, 0, err);
    if (rc == FLV_OK) {
        rc = flv_client_connect(c->client, 0, connect_done, k, err);
    }
    if (rc == FLV_OK) {
        rc = cli_call_wait(&k->call, err);
    }
    flv_timer_stop(&k->timer);
    return rc;
}

/* A loss is told, the attempts to mend it that fail are not. */
static void link_changed(void *user, const struct flv_err *err)
{
    struct cli *c = user;
    if (!c->connected || c->lost == (err != NULL)) {
        return;
    }
    c->lost = err != NULL;
    if (c->lost) {
        cli_say(stderr, "the cluster is lost; it is tried again: %s",
                err->text);
    } else {
        cli_say(stderr, "the cluster at %s is there again", c->address);
    }
}

static flv_rc open_client(struct cli *c,
                          const struct flv_profile *target,
                          struct flv_err *err)
{
    struct flv_client_conf conf = {0};
    flv_rc rc = flv_client_conf_profile(&conf, target, err);
    if (rc != FLV_OK) {
        return rc;
    }
    const char *id = getenv("FLUVIO_CLIENT_ID");
    if (conf.client_id == NULL || id != NULL) {
        conf.client_id = id != NULL && id[0] != '\0' ? id : "FLUVIO_CLI";
    }
    conf.connect_timeout_ms = CLI_CONNECT_MS;
    conf.answer_timeout_ms = c->only_looks ? CLI_CONNECT_MS : CLI_ANSWER_MS;
    conf.link = c->tells_link ? link_changed : NULL;
    conf.user = c;
    flv_free(c->address);
    c->address = flv_strdup(target->endpoint);
    if (c->address == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (c->loop == NULL) {
        rc = flv_loop_create(&c->loop, 0, err);
    }
    return rc == FLV_OK ? flv_client_create(&c->client, c->loop, &conf, err)
                        : rc;
}

flv_rc cli_connect_to(struct cli *c,
                      const struct flv_profile *target,
                      struct flv_err *err)
{
    static struct connecting connecting;
    assert(c->client == NULL && target->endpoint != NULL);
    flv_rc rc = open_client(c, target, err);
    if (rc != FLV_OK) {
        return rc;
    }
    struct flv_err why = {0};
    rc = connect_client(c, &connecting, &why);
    if (rc == FLV_OK) {
        c->connected = true;
        return FLV_OK;
    }
    if (rc == FLV_E_PROTOCOL || rc == FLV_E_LIMIT || rc == FLV_E_CORRUPT) {
        return flv_fail(err, rc,
                        "what listens at %.60s is no Fluvio cluster: %s",
                        target->endpoint, why.text);
    }
    if (rc != FLV_E_CONNECT && rc != FLV_E_TIMEOUT && rc != FLV_E_CLOSED) {
        if (err != NULL) {
            *err = why;
        }
        return rc;
    }
    if (rc == FLV_E_TIMEOUT && strstr(why.text, target->endpoint) != NULL) {
        return flv_fail(err, rc,
                        "no cluster answers: %s; if one runs there, its log "
                        "may say why, else `fluvio cluster start`",
                        why.text);
    }
    return flv_fail(err, rc,
                    "no cluster answers at %s (%s); start one with `fluvio "
                    "cluster start`",
                    target->endpoint, why.text);
}

flv_rc cli_connect(struct cli *c, struct flv_err *err)
{
    struct flv_profile target;
    flv_rc rc = cli_target(c, &target, err);
    return rc == FLV_OK ? cli_connect_to(c, &target, err) : rc;
}

static void client_closed(void *user)
{
    struct cli *c = user;
    c->client = NULL;
    flv_loop_stop(c->loop);
}

void cli_disconnect(struct cli *c)
{
    if (c->client == NULL || c->leave) {
        return;
    }
    flv_client_close(c->client, client_closed, c);
    while (c->client != NULL) {
        flv_loop_run(c->loop);
    }
}

void cli_deinit(struct cli *c)
{
    if (c->leave) {
        return;
    }
    cli_disconnect(c);
    if (c->loop != NULL) {
        /* Closing handles need a turn of their own. */
        flv_loop_run(c->loop);
        flv_loop_destroy(c->loop);
    }
    flv_profiles_destroy(c->profiles);
    flv_free(c->address);
}

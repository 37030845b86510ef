#include <fluvio/client.h>

#include "base/container.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/toml.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct flv_profiles {
    char *path;            /* owned */
    struct flv__toml *doc; /* owned */
};

/* ------------------------------------------------------------- the file */

static flv_rc find_path(const char *path, char **out, struct flv_err *err)
{
    const char *home = NULL;
    struct flv_buf buf;
    flv_rc rc = FLV_OK;

    if (path == NULL) {
        path = getenv("FLV_PROFILE_PATH");
    }
    flv_buf_init(&buf, PATH_MAX);
    if (path != NULL && path[0] != '\0') {
        rc = flv_buf_add_str(&buf, path);
    } else {
        home = getenv("HOME");
        if (home == NULL || home[0] == '\0') {
            const struct passwd *pw = getpwuid(getuid());

            home = pw != NULL ? pw->pw_dir : NULL;
        }
        if (home == NULL) {
            rc = flv_fail(err, FLV_E_NOT_FOUND,
                          "no home directory to hold the profiles; set HOME "
                          "or FLV_PROFILE_PATH");
            goto out;
        }
        rc = flv_buf_addf(&buf, "%s/.fluvio/config", home);
    }
    if (rc == FLV_OK) {
        *out = flv_slice_dup(flv_buf_slice(&buf));
        rc = *out != NULL ? FLV_OK : FLV_E_NOMEM;
    }
    if (rc != FLV_OK) {
        rc = flv_fail(err, rc, "path of the profile file: %s", flv_rc_text(rc));
    }
out:
    flv_buf_deinit(&buf);
    return rc;
}

static flv_rc read_all(int fd, struct flv_buf *out, int *out_sys)
{
    flv_rc rc = FLV_OK;

    for (;;) {
        ssize_t n = 0;

        rc = flv_buf_reserve(out, 4096);
        if (rc != FLV_OK) {
            return rc;
        }
        do {
            n = read(fd, out->data + out->len, 4096);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            *out_sys = errno;
            return FLV_E_IO;
        }
        if (n == 0) {
            return FLV_OK;
        }
        out->len += (size_t)n;
    }
}

static flv_rc unreadable(const char *path, int sys, struct flv_err *err)
{
    char hint[FLV_CONTAINER_HINT_MAX] = "";

    if (flv_container_here()) {
        flv_container_unreadable(path, sys, hint);
    }
    (void)flv_fail_sys(err, FLV_E_IO, sys, "cannot read %s", path);
    flv_err_suffix(err, hint);
    return FLV_E_IO;
}

/* A missing file reads as an empty one. */
static flv_rc
read_file(const char *path, struct flv_buf *out, struct flv_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    flv_rc rc = FLV_OK;
    int sys = 0;

    if (fd < 0) {
        sys = errno;
        if (sys == ENOENT) {
            return FLV_OK;
        }
        return unreadable(path, sys, err);
    }
    rc = read_all(fd, out, &sys);
    (void)close(fd);
    if (rc == FLV_E_LIMIT) {
        return flv_fail(err, rc,
                        "%s has more than %u bytes: not a profile file", path,
                        FLV__TOML_SIZE_MAX);
    }
    if (rc == FLV_E_IO) {
        return unreadable(path, sys, err);
    }
    if (rc != FLV_OK) {
        return flv_fail_sys(err, rc, sys, "cannot read %s", path);
    }
    return FLV_OK;
}

/* mkdir -p of everything above the file. */
static flv_rc make_parents(const char *path, struct flv_err *err)
{
    char *dir = flv_strdup(path);
    flv_rc rc = FLV_OK;

    if (dir == NULL) {
        return flv_fail(err, FLV_E_NOMEM, "out of memory for a path");
    }
    for (char *p = strchr(dir + 1, '/'); rc == FLV_OK && p != NULL;
         p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
            rc = flv_fail_sys(err, FLV_E_IO, errno, "cannot make directory %s",
                              dir);
        }
        *p = '/';
    }
    flv_free(dir);
    return rc;
}

static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == NULL || slash == path
                    ? flv_strdup(slash == NULL ? "." : "/")
                    : flv_strndup(path, (size_t)(slash - path));

    if (dir != NULL) {
        /* The rename is atomic with or without it. */
        (void)!flv_file_sync_dir(dir);
    }
    flv_free(dir);
}

/* Writes beside the file, syncs, renames over it: readers see the old or the
 * new text, never a part. mkstemp() gives mode 0600. */
static flv_rc replace_file(const char *path,
                           char *tmp,
                           struct flv_slice text,
                           struct flv_err *err)
{
    const int fd = mkostemp(tmp, O_CLOEXEC);
    int sys = 0;

    if (fd < 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot write beside %s",
                            path);
    }
    sys = flv_file_write_all(fd, text);
    if (sys == 0 && fsync(fd) != 0) {
        sys = errno;
    }
    if (sys != 0) {
        (void)close(fd);
        (void)unlink(tmp);
        return flv_fail_sys(err, sys == ENOSPC ? FLV_E_NOSPACE : FLV_E_IO, sys,
                            "cannot write %s", path);
    }
    (void)close(fd);
    if (rename(tmp, path) != 0) {
        sys = errno;
        (void)unlink(tmp);
        return flv_fail_sys(err, FLV_E_IO, sys, "cannot replace %s", path);
    }
    sync_parent(path);
    return FLV_OK;
}

flv_rc flv_profiles_save(struct flv_profiles *p, struct flv_err *err)
{
    struct flv_buf tmp;
    char real[PATH_MAX];
    const bool exists = realpath(p->path, real) != NULL;
    const char *path = exists ? real : p->path; /* a link stays a link */
    flv_rc rc = make_parents(path, err);

    flv_buf_init(&tmp, PATH_MAX + 16);
    if (rc == FLV_OK) {
        rc = flv_buf_addf(&tmp, "%s.XXXXXX", path);
        if (rc != FLV_OK || flv_buf_str(&tmp) == NULL) {
            rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a path");
        }
    }
    if (rc == FLV_OK) {
        rc = replace_file(path, (char *)tmp.data, flv__toml_text(p->doc), err);
    }
    flv_buf_deinit(&tmp);
    return rc;
}

/* ---------------------------------------------------------- its meaning */

/* The value is of that type or absent. */
static flv_rc check_type(const struct flv_profiles *p,
                         const struct flv__toml_path *at,
                         enum flv__toml_type type,
                         const char *what,
                         struct flv_err *err)
{
    struct flv__toml_value v;

    if (flv__toml_get(p->doc, at, &v) && v.type != type) {
        return flv_fail(err, FLV_E_INVALID, "%s: line %u: %s", p->path, v.line,
                        what);
    }
    return FLV_OK;
}

static bool policy_of(const char *text, enum flv_tls_policy *out)
{
    static const struct {
        const char *name;
        enum flv_tls_policy policy;
    } names[] = {{"disabled", FLV_TLS_DISABLED},
                 {"disable", FLV_TLS_DISABLED},
                 {"anonymous", FLV_TLS_ANONYMOUS},
                 {"verified", FLV_TLS_VERIFIED},
                 {"verify", FLV_TLS_VERIFIED}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i].name) == 0) {
            *out = names[i].policy;
            return true;
        }
    }
    return false;
}

static flv_rc check_tls(const struct flv_profiles *p,
                        const char *cluster,
                        struct flv_err *err)
{
    static const char *const parts[] = {"domain", "key", "cert", "ca_cert"};
    enum flv_tls_policy policy = FLV_TLS_DISABLED;
    const struct flv__toml_path *at =
        FLV__TOML_PATH("cluster", cluster, "tls", "tls_policy");
    const char *text = flv__toml_str(p->doc, at);
    flv_rc rc =
        check_type(p, at, FLV__TOML_STRING, "tls_policy has to be a text", err);

    if (rc != FLV_OK || text == NULL) {
        return rc;
    }
    if (!policy_of(text, &policy)) {
        return flv_fail(err, FLV_E_INVALID,
                        "%s: tls_policy '%s' of cluster '%s' is none of "
                        "disabled, anonymous, verified",
                        p->path, text, cluster);
    }
    for (size_t i = 0; policy == FLV_TLS_VERIFIED && i < 4; i++) {
        if (flv__toml_str(p->doc, FLV__TOML_PATH("cluster", cluster, "tls",
                                                 "certs", parts[i])) == NULL) {
            return flv_fail(err, FLV_E_INVALID,
                            "%s: cluster '%s' has verified TLS but no '%s' "
                            "in its certs",
                            p->path, cluster, parts[i]);
        }
    }
    return FLV_OK;
}

static flv_rc check_cluster(const struct flv_profiles *p,
                            const char *cluster,
                            struct flv_err *err)
{
    flv_rc rc = check_type(p, FLV__TOML_PATH("cluster", cluster),
                           FLV__TOML_TABLE, "a cluster has to be a table", err);

    if (rc == FLV_OK) {
        rc = check_type(p, FLV__TOML_PATH("cluster", cluster, "endpoint"),
                        FLV__TOML_STRING, "endpoint has to be a text", err);
    }
    if (rc == FLV_OK) {
        rc = check_type(
            p, FLV__TOML_PATH("cluster", cluster, "use_spu_local_address"),
            FLV__TOML_BOOL, "use_spu_local_address has to be true or false",
            err);
    }
    return rc == FLV_OK ? check_tls(p, cluster, err) : rc;
}

static flv_rc check(const struct flv_profiles *p, struct flv_err *err)
{
    const char *name = NULL;
    flv_rc rc =
        check_type(p, FLV__TOML_PATH("current_profile"), FLV__TOML_STRING,
                   "current_profile has to be a text", err);

    for (size_t i = 0; rc == FLV_OK; i++) {
        name = flv__toml_child(p->doc, FLV__TOML_PATH("profile"), i);
        if (name == NULL) {
            break;
        }
        rc = check_type(p, FLV__TOML_PATH("profile", name), FLV__TOML_TABLE,
                        "a profile has to be a table", err);
        if (rc == FLV_OK) {
            rc = check_type(p, FLV__TOML_PATH("profile", name, "cluster"),
                            FLV__TOML_STRING, "cluster has to be a text", err);
        }
    }
    for (size_t i = 0; rc == FLV_OK; i++) {
        name = flv__toml_child(p->doc, FLV__TOML_PATH("cluster"), i);
        if (name == NULL) {
            break;
        }
        rc = check_cluster(p, name, err);
    }
    return rc;
}

flv_rc flv_profiles_load(struct flv_profiles **out,
                         const char *path,
                         struct flv_err *err)
{
    struct flv_profiles *p = flv_zalloc(1, sizeof(*p));
    struct flv_buf text;
    flv_rc rc = FLV_OK;

    assert(out != NULL);
    flv_buf_init(&text, FLV__TOML_SIZE_MAX + 4096);
    if (p == NULL) {
        rc = flv_fail(err, FLV_E_NOMEM, "out of memory for profiles");
    } else {
        rc = find_path(path, &p->path, err);
    }
    if (rc == FLV_OK) {
        rc = read_file(p->path, &text, err);
    }
    if (rc == FLV_OK) {
        rc = flv__toml_parse(&p->doc, flv_buf_slice(&text), err);
        if (rc != FLV_OK) {
            flv_err_prefix(err, "%s", p->path);
        }
    }
    if (rc == FLV_OK) {
        rc = check(p, err);
    }
    flv_buf_deinit(&text);
    if (rc != FLV_OK) {
        flv_profiles_destroy(p);
        return rc;
    }
    *out = p;
    return FLV_OK;
}

void flv_profiles_destroy(struct flv_profiles *p)
{
    if (p != NULL) {
        flv__toml_destroy(p->doc);
        flv_free(p->path);
        flv_free(p);
    }
}

/* ------------------------------------------------------------- reading */

const char *flv_profiles_path(const struct flv_profiles *p)
{
    return p->path;
}

const char *flv_profiles_current(const struct flv_profiles *p)
{
    const char *name = flv__toml_str(p->doc, FLV__TOML_PATH("current_profile"));

    return name != NULL && name[0] != '\0' ? name : NULL;
}

size_t flv_profiles_count(const struct flv_profiles *p)
{
    size_t n = 0;

    while (flv__toml_child(p->doc, FLV__TOML_PATH("profile"), n) != NULL) {
        n++;
    }
    return n;
}

static void fill_tls(const struct flv_profiles *p, struct flv_profile *out)
{
    const char *c = out->cluster;
    const char *policy = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "tls_policy"));
    const char *source = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "tls_source"));

    if (policy == NULL || !policy_of(policy, &out->tls.policy) ||
        out->tls.policy != FLV_TLS_VERIFIED) {
        return;
    }
    out->tls.is_inline = source != NULL && strcmp(source, "inline") == 0;
    out->tls.domain = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "certs", "domain"));
    out->tls.key = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "certs", "key"));
    out->tls.cert = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "certs", "cert"));
    out->tls.ca_cert = flv__toml_str(
        p->doc, FLV__TOML_PATH("cluster", c, "tls", "certs", "ca_cert"));
}

static void fill_cluster(const struct flv_profiles *p, struct flv_profile *out)
{
    static const char *const install_keys[] = {"typ", "type"};
    static const char *const endpoint_keys[] = {"endpoint", "addr"};
    const char *c = out->cluster;
    struct flv__toml_value v;

    for (size_t i = 0; i < 2; i++) {
        if (out->endpoint == NULL) {
            out->endpoint = flv__toml_str(
                p->doc, FLV__TOML_PATH("cluster", c, endpoint_keys[i]));
        }
        if (out->installation == NULL) {
            out->installation = flv__toml_str(
                p->doc, FLV__TOML_PATH("cluster", c, "metadata", "installation",
                                       install_keys[i]));
        }
    }
    if (flv__toml_get(p->doc,
                      FLV__TOML_PATH("cluster", c, "use_spu_local_address"),
                      &v)) {
        out->use_spu_local_address = v.num != 0;
    }
    out->client_id =
        flv__toml_str(p->doc, FLV__TOML_PATH("cluster", c, "client_id"));
    fill_tls(p, out);
}

static void
fill(const struct flv_profiles *p, const char *name, struct flv_profile *out)
{
    struct flv__toml_value v;

    *out = (struct flv_profile){.name = name, .partition = -1};
    out->cluster =
        flv__toml_str(p->doc, FLV__TOML_PATH("profile", name, "cluster"));
    out->topic =
        flv__toml_str(p->doc, FLV__TOML_PATH("profile", name, "topic"));
    if (flv__toml_get(p->doc, FLV__TOML_PATH("profile", name, "partition"),
                      &v) &&
        v.type == FLV__TOML_INT && v.num >= 0) {
        out->partition = v.num;
    }
    if (out->cluster != NULL) {
        fill_cluster(p, out);
    }
}

void flv_profiles_at(const struct flv_profiles *p,
                     size_t i,
                     struct flv_profile *out)
{
    const char *name = flv__toml_child(p->doc, FLV__TOML_PATH("profile"), i);

    assert(name != NULL);
    fill(p, name, out);
}

/* The document's own spelling of the name, NULL when there is no such. */
static const char *own_name(const struct flv_profiles *p, const char *name)
{
    for (size_t i = 0;; i++) {
        const char *own = flv__toml_child(p->doc, FLV__TOML_PATH("profile"), i);

        if (own == NULL || strcmp(own, name) == 0) {
            return own;
        }
    }
}

flv_rc flv_profiles_find(const struct flv_profiles *p,
                         const char *name,
                         struct flv_profile *out,
                         struct flv_err *err)
{
    const char *wanted = name != NULL ? name : flv_profiles_current(p);
    const char *own = NULL;

    if (wanted == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "No active profile set in config");
    }
    own = own_name(p, wanted);
    if (own == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Profile not found in config: %s",
                        wanted);
    }
    fill(p, own, out);
    return FLV_OK;
}

flv_rc flv_client_conf_profile(struct flv_client_conf *out,
                               const struct flv_profile *profile,
                               struct flv_err *err)
{
    if (profile->endpoint == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND,
                        "profile '%s' names cluster '%s', which has no "
                        "endpoint in the profile file",
                        profile->name,
                        profile->cluster != NULL ? profile->cluster : "");
    }
    *out = (struct flv_client_conf){
        .address = profile->endpoint,
        .client_id = profile->client_id,
        .use_spu_local_address = profile->use_spu_local_address,
        .tls = profile->tls,
    };
    return FLV_OK;
}

/* ------------------------------------------------------------- changing */

flv_rc flv_profiles_switch(struct flv_profiles *p,
                           const char *name,
                           struct flv_err *err)
{
    if (own_name(p, name) == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND, "profile %s not found", name);
    }
    return flv__toml_set_str(p->doc, FLV__TOML_PATH("current_profile"), name,
                             err);
}

flv_rc flv_profiles_rename(struct flv_profiles *p,
                           const char *from,
                           const char *to,
                           struct flv_err *err)
{
    const char *current = flv_profiles_current(p);
    const bool active = current != NULL && strcmp(current, from) == 0;
    flv_rc rc = FLV_OK;

    if (own_name(p, from) == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Profile not found in config: %s",
                        from);
    }
    if (to[0] == '\0') {
        return flv_fail(err, FLV_E_INVALID, "a profile needs a name");
    }
    if (own_name(p, to) != NULL) {
        return flv_fail(err, FLV_E_EXISTS, "profile %s already exists", to);
    }
    rc = flv__toml_rename(p->doc, FLV__TOML_PATH("profile", from), to, err);
    if (rc == FLV_OK && active) {
        rc = flv__toml_set_str(p->doc, FLV__TOML_PATH("current_profile"), to,
                               err);
    }
    return rc;
}

flv_rc flv_profiles_delete(struct flv_profiles *p,
                           const char *name,
                           struct flv_err *err)
{
    const char *current = flv_profiles_current(p);
    const bool active = current != NULL && strcmp(current, name) == 0;
    flv_rc rc = FLV_OK;

    if (own_name(p, name) == NULL) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Profile not found in config: %s",
                        name);
    }
    rc = flv__toml_remove(p->doc, FLV__TOML_PATH("profile", name), err);
    if (rc == FLV_OK && active) {
        rc = flv__toml_remove(p->doc, FLV__TOML_PATH("current_profile"), err);
    }
    return rc;
}

flv_rc flv_profiles_delete_cluster(struct flv_profiles *p,
                                   const char *cluster,
                                   bool force,
                                   struct flv_err *err)
{
    struct flv__toml_value v;

    if (!flv__toml_get(p->doc, FLV__TOML_PATH("cluster", cluster), &v)) {
        return flv_fail(err, FLV_E_NOT_FOUND, "Cluster not found in config: %s",
                        cluster);
    }
    for (size_t i = 0; !force; i++) {
        const char *name =
            flv__toml_child(p->doc, FLV__TOML_PATH("profile"), i);
        const char *used = NULL;

        if (name == NULL) {
            break;
        }
        used =
            flv__toml_str(p->doc, FLV__TOML_PATH("profile", name, "cluster"));
        if (used != NULL && strcmp(used, cluster) == 0) {
            return flv_fail(err, FLV_E_LOCKED,
                            "cluster %s is used by profile %s; delete that "
                            "first or use --force",
                            cluster, name);
        }
    }
    return flv__toml_remove(p->doc, FLV__TOML_PATH("cluster", cluster), err);
}

static flv_rc set_cluster(struct flv_profiles *p,
                          const char *name,
                          const char *endpoint,
                          const char *installation,
                          struct flv_err *err)
{
    struct flv__toml_value v;
    const struct flv__toml_path *local =
        FLV__TOML_PATH("cluster", name, "use_spu_local_address");
    flv_rc rc =
        flv__toml_remove(p->doc, FLV__TOML_PATH("cluster", name, "addr"), err);

    if (rc == FLV_OK) {
        rc = flv__toml_set_str(
            p->doc, FLV__TOML_PATH("cluster", name, "endpoint"), endpoint, err);
    }
    if (rc == FLV_OK && !flv__toml_get(p->doc, local, &v)) {
        rc = flv__toml_set_bool(p->doc, local, false, err);
    }
    /* What spoke TLS at the old address need not do so at the new one. */
    if (rc == FLV_OK) {
        rc = flv__toml_remove(p->doc, FLV__TOML_PATH("cluster", name, "tls"),
                              err);
    }
    if (rc == FLV_OK) {
        rc = flv__toml_set_str(
            p->doc, FLV__TOML_PATH("cluster", name, "tls", "tls_policy"),
            "disabled", err);
    }
    if (rc == FLV_OK && installation != NULL) {
        rc = flv__toml_set_str(
            p->doc,
            FLV__TOML_PATH("cluster", name, "metadata", "installation", "typ"),
            installation, err);
    }
    return rc;
}

flv_rc flv_profiles_add(struct flv_profiles *p,
                        const char *name,
                        const char *endpoint,
                        const char *installation,
                        struct flv_err *err)
{
    struct flv__toml_value v;
    flv_rc rc = FLV_OK;

    if (name[0] == '\0' || endpoint[0] == '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "a profile needs a name and an address");
    }
    if (!flv__toml_get(p->doc, FLV__TOML_PATH("version"), &v)) {
        rc = flv__toml_set_str(p->doc, FLV__TOML_PATH("version"), "2.0", err);
    }
    if (rc == FLV_OK) {
        rc = flv__toml_set_str(p->doc, FLV__TOML_PATH("current_profile"), name,
                               err);
    }
    if (rc == FLV_OK) {
        rc = flv__toml_set_str(
            p->doc, FLV__TOML_PATH("profile", name, "cluster"), name, err);
    }
    return rc == FLV_OK ? set_cluster(p, name, endpoint, installation, err)
                        : rc;
}

/* Of a cluster whose table has no TLS or only a policy. */
static flv_rc put_tls(struct flv_profiles *p,
                      const char *cluster,
                      const struct flv_client_tls *tls,
                      struct flv_err *err)
{
    static const char *const policies[] = {"disabled", "anonymous", "verified"};
    const char *const keys[] = {"domain", "key", "cert", "ca_cert"};
    const char *const values[] = {tls->domain, tls->key, tls->cert,
                                  tls->ca_cert};
    flv_rc rc = flv__toml_set_str(
        p->doc, FLV__TOML_PATH("cluster", cluster, "tls", "tls_policy"),
        policies[tls->policy], err);

    if (rc != FLV_OK || tls->policy != FLV_TLS_VERIFIED) {
        return rc;
    }
    rc = flv__toml_set_str(
        p->doc, FLV__TOML_PATH("cluster", cluster, "tls", "tls_source"),
        tls->is_inline ? "inline" : "files", err);
    for (size_t i = 0; rc == FLV_OK && i < 4; i++) {
        rc = flv__toml_set_str(
            p->doc, FLV__TOML_PATH("cluster", cluster, "tls", "certs", keys[i]),
            values[i], err);
    }
    return rc;
}

flv_rc flv_profiles_set_tls(struct flv_profiles *p,
                            const char *name,
                            const struct flv_client_tls *tls,
                            struct flv_err *err)
{
    struct flv_profile at;
    char *cluster = NULL; /* a copy: the profile's own goes with a change */
    flv_rc rc = flv_profiles_find(p, name, &at, err);

    if (rc == FLV_OK && tls->policy == FLV_TLS_VERIFIED &&
        (tls->domain == NULL || tls->ca_cert == NULL || tls->cert == NULL ||
         tls->key == NULL)) {
        rc = flv_fail(err, FLV_E_INVALID,
                      "profile '%s': verified TLS needs a domain, a CA "
                      "certificate, and a client's certificate and key",
                      at.name);
    }
    if (rc == FLV_OK) {
        cluster = flv_strdup(at.cluster);
        rc = cluster != NULL ? FLV_OK
                             : flv_fail(err, FLV_E_NOMEM, "out of memory");
    }
    if (rc == FLV_OK) {
        rc = flv__toml_remove(p->doc, FLV__TOML_PATH("cluster", cluster, "tls"),
                              err);
    }
    if (rc == FLV_OK) {
        rc = put_tls(p, cluster, tls, err);
    }
    flv_free(cluster);
    return rc;
}

/* ------------------------------------------------------------ exporting */

flv_rc flv_profiles_export(const struct flv_profiles *p,
                           const char *name,
                           char **out_text,
                           struct flv_err *err)
{
    struct flv_profiles fresh = {.path = p->path};
    struct flv_profile from;
    flv_rc rc = flv_profiles_find(p, name, &from, err);

    if (rc == FLV_OK && from.endpoint == NULL) {
        rc =
            flv_fail(err, FLV_E_NOT_FOUND,
                     "profile '%s' has no cluster with an endpoint", from.name);
    }
    if (rc == FLV_OK) {
        rc = flv__toml_parse(&fresh.doc, flv_slice(NULL, 0), err);
    }
    if (rc == FLV_OK) {
        rc = flv_profiles_add(&fresh, from.name, from.endpoint,
                              from.installation, err);
    }
    if (rc == FLV_OK && from.use_spu_local_address) {
        rc = flv__toml_set_bool(
            fresh.doc,
            FLV__TOML_PATH("cluster", from.name, "use_spu_local_address"), true,
            err);
    }
    if (rc == FLV_OK) {
        rc = put_tls(&fresh, from.name, &from.tls, err);
    }
    if (rc == FLV_OK) {
        char *text = flv_slice_dup(flv__toml_text(fresh.doc));

        if (text == NULL) {
            rc = flv_fail(err, FLV_E_NOMEM, "out of memory for a profile");
        } else {
            *out_text = text;
        }
    }
    flv__toml_destroy(fresh.doc);
    return rc;
}

void flv_client_free(void *text)
{
    flv_free(text);
}

/* fluvio secret: values that connector files only name. */
#include "cli/cli.h"

#include "base/file.h"
#include "cli/local.h"
#include "cli/output.h"
#include "cli/rest.h"
#include "cli/table.h"
#include "config/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* A line of the file with its name is below what its readers take. */
#define VALUE_BYTES_MAX ((size_t)60000)
#define NAME_BYTES_MAX 128
#define SECRETS_FILE "secrets"
#define FRESH_FILE "secrets.new"

/* ---- The file --------------------------------------------------------------
 */

/* The folder stays locked while it is open: one change at a time. */
struct store {
    struct flv_secrets values; /* owned */
    char path[CLI_PATH_MAX + 64];
    int folder_fd;
};

static void store_close(struct store *s)
{
    flv__secrets_deinit(&s->values);
    if (s->folder_fd >= 0) {
        close(s->folder_fd);
    }
}

/* The manager makes its folder at its first start; secrets may come before. */
static flv_rc open_folder(struct store *s, bool make, struct flv_err *err)
{
    struct cli_local l;
    char folder[CLI_PATH_MAX + 32];
    flv_rc rc = cli_local_find(&l, NULL, NULL, true, err);
    if (rc != FLV_OK) {
        return rc;
    }
    cli_manager_path(&l, folder, sizeof folder);
    snprintf(s->path, sizeof s->path, "%s/" SECRETS_FILE, folder);
    s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->folder_fd < 0 && errno == ENOENT && !make) {
        return FLV_OK;
    }
    if (s->folder_fd < 0 && errno == ENOENT) {
        if (access(l.data_dir, F_OK) != 0) {
            return flv_fail(err, FLV_E_NOT_FOUND,
                            "there is no local cluster (no %.90s), whose "
                            "secrets this would be; `fluvio cluster start` "
                            "starts one",
                            l.data_dir);
        }
        (void)mkdir(folder, 0700);
        s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (s->folder_fd < 0 || flock(s->folder_fd, LOCK_EX) != 0) {
        return flv_fail_sys(err, FLV_E_IO, errno, "cannot open %.120s", folder);
    }
    return FLV_OK;
}

static flv_rc store_open(struct store *s, bool make, struct flv_err *err)
{
    *s = (struct store){.folder_fd = -1};
    flv__secrets_init(&s->values);
    flv_rc rc = open_folder(s, make, err);
    if (rc != FLV_OK || s->folder_fd < 0) {
        return rc;
    }
    rc = flv__secrets_read(&s->values, s->path, err);
    return rc == FLV_E_NOT_FOUND ? FLV_OK : rc;
}

/* Calls `each` with every name and value. */
static void
store_walk(const struct store *s,
           void (*each)(void *arg, const char *name, const char *value),
           void *arg)
{
    const char *p = (const char *)s->values.text.data;
    const char *end = p != NULL ? p + s->values.text.len : p;
    while (p < end) {
        const char *value = p + strlen(p) + 1;
        each(arg, p, value);
        p = value + strlen(value) + 1;
    }
}

/* The file without one name. */
struct writing {
    const char *without;
    struct flv_buf text; /* owned */
    bool ok;
};

static void write_line(void *arg, const char *name, const char *value)
{
    struct writing *w = arg;
    if (strcmp(name, w->without) != 0) {
        w->ok =
            w->ok && flv_buf_addf(&w->text, "%s=%s\n", name, value) == FLV_OK;
    }
}

/* Whole or not at all, on disk, and nobody else's business at any time. */
static flv_rc
put_file(const struct store *s, const struct flv_buf *text, struct flv_err *err)
{
    const struct flv_file_replace r = {.dir_fd = s->folder_fd,
                                       .name = SECRETS_FILE,
                                       .aside = FRESH_FILE,
                                       .durable = true};
    int sys = flv_file_replace(&r, flv_buf_slice(text));
    return sys == 0 ? FLV_OK
                    : flv_fail_sys(err, FLV_E_IO, sys, "cannot write %.120s",
                                   s->path);
}

/* Stores everything but `name`, and then `name` with a value unless NULL. */
static flv_rc store_put(const struct store *s,
                        const char *name,
                        const char *value,
                        struct flv_err *err)
{
    struct writing w = {.without = name, .ok = true};
    flv_buf_init(&w.text, (size_t)1 << 20);
    store_walk(s, write_line, &w);
    if (w.ok && value != NULL) {
        w.ok = flv_buf_addf(&w.text, "%s=%s\n", name, value) == FLV_OK;
    }
    flv_rc rc = w.ok ? put_file(s, &w.text, err)
                     : flv_fail(err, FLV_E_LIMIT,
                                "all secrets together have more than 1 MiB");
    if (w.text.data != NULL) {
        explicit_bzero(w.text.data, w.text.cap);
    }
    flv_buf_deinit(&w.text);
    return rc;
}

/* ---- set -------------------------------------------------------------------
 */

struct set_conf {
    char *name;
    char *value;
};

static const struct flv_opt set_opts[] = {
    {.name = "name",
     FLV_STR(struct set_conf, name),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Name of the secret, as in ${{ secrets.NAME }}"},
    {.name = "value",
     FLV_STR(struct set_conf, value),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_SECRET,
     .help = "Refused: everybody on this machine could read it"},
    {.name = NULL}};

static flv_rc check_name(const char *name, struct flv_err *err)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789_";
    if (name[0] == '\0' || strlen(name) > NAME_BYTES_MAX ||
        (name[0] >= '0' && name[0] <= '9') ||
        name[strspn(name, good)] != '\0') {
        return flv_fail(err, FLV_E_INVALID,
                        "\"%.60s\" cannot be the name of a secret; use "
                        "letters, digits and underscores, no digit first",
                        name);
    }
    return FLV_OK;
}

/* Everything up to the end, without one line feed there. */
static flv_rc read_value(int fd, char *out, size_t size, struct flv_err *err)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, out + len, size - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return flv_fail_sys(err, FLV_E_IO, errno, "cannot read the value");
        }
        len += (size_t)n;
        if (n == 0 || (isatty(fd) != 0 && len > 0 && out[len - 1] == '\n')) {
            break;
        }
        if (len == size) {
            return flv_fail(err, FLV_E_LIMIT,
                            "the value has more than %zu bytes", size - 1);
        }
    }
    len -= len > 0 && out[len - 1] == '\n';
    len -= len > 0 && out[len - 1] == '\r';
    out[len] = '\0';
    if (len == 0) {
        return flv_fail(err, FLV_E_INVALID,
                        "the value is empty; nothing was changed");
    }
    if (strlen(out) != len || strpbrk(out, "\r\n") != NULL) {
        return flv_fail(err, FLV_E_INVALID,
                        "a value is one line of text; nothing was changed");
    }
    return FLV_OK;
}

/* How the terminal was, for whoever is interrupted while it is quiet. */
static struct termios terminal_was;

static void on_interrupt(int signum)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal_was);
    (void)signal(signum, SIG_DFL);
    (void)raise(signum);
}

static void quiet_terminal(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct termios quiet = terminal_was;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], on_interrupt);
    }
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
}

/* On a terminal: asks, and what is typed is not shown. */
static flv_rc
ask_value(const char *name, char *out, size_t size, struct flv_err *err)
{
    bool terminal = isatty(STDIN_FILENO) != 0 &&
                    tcgetattr(STDIN_FILENO, &terminal_was) == 0;
    if (terminal) {
        /* In this order: what is typed at the prompt is neither shown nor
         * thrown away. */
        quiet_terminal();
        fprintf(stderr, "Value of %s: ", name);
    }
    flv_rc rc = read_value(STDIN_FILENO, out, size, err);
    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_was);
        fputc('\n', stderr);
    }
    return rc;
}

static int set_run(struct flv_args *args, void *ctx)
{
    const struct set_conf *conf = flv_args_conf(args);
    static char value[VALUE_BYTES_MAX];
    struct store s = {.folder_fd = -1};
    struct flv_err err = {0};
    if (conf->value != NULL) {
        return cli_usage(ctx, "a value on a command line can be read by "
                              "everybody on this machine; give it on the "
                              "standard input, or type it when asked");
    }
    flv_rc rc = check_name(conf->name, &err);
    rc = rc == FLV_OK ? ask_value(conf->name, value, sizeof value, &err) : rc;
    rc = rc == FLV_OK ? store_open(&s, true, &err) : rc;
    rc = rc == FLV_OK ? store_put(&s, conf->name, value, &err) : rc;
    explicit_bzero(value, sizeof value);
    store_close(&s);
    if (rc == FLV_OK) {
        printf("secret \"%s\" set\n", conf->name);
    }
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd set_cmd = {
    .name = "set",
    .about = "Set the value of a secret\n\n"
             "The value is the standard input, or is asked for on a terminal. "
             "Connectors take it when they start: `fluvio connector restart` "
             "gives it to those that run.",
    .opts = set_opts,
    .conf_size = sizeof(struct set_conf),
    .run = set_run,
};

/* ---- list ------------------------------------------------------------------
 */

struct list_conf {
    int output;
};

static const struct flv_opt list_opts[] = {
    {.name = "output",
     .letter = 'O',
     FLV_CHOICE(struct list_conf, output),
     .choices = cli_format_names,
     .flags = FLV_OPT_ANY_CASE,
     .arg = "type",
     .fallback = "table",
     .help = "Output"},
    {.name = NULL}};

static void table_name(void *arg, const char *name, const char *value)
{
    struct cli_table *t = arg;
    (void)value;
    cli_table_cell(t, name);
    cli_table_end_row(t);
}

static void doc_name(void *arg, const char *name, const char *value)
{
    (void)value;
    cli_doc_map(arg, NULL);
    cli_doc_str(arg, "name", name);
    cli_doc_end(arg);
}

static flv_rc print_table(const struct store *s, struct flv_err *err)
{
    static const char *const head[] = {"NAME", NULL};
    struct cli_table t;
    struct flv_buf out;
    if (s->values.text.len == 0) {
        puts("no secrets");
        return FLV_OK;
    }
    flv_buf_init(&out, (size_t)4 << 20);
    cli_table_init(&t, 0);
    cli_table_row(&t, head);
    store_walk(s, table_name, &t);
    flv_rc rc = cli_table_print(&t, &out, err);
    if (rc == FLV_OK) {
        cli_put(&out);
    }
    cli_table_deinit(&t);
    flv_buf_deinit(&out);
    return rc;
}

static flv_rc print_doc(const struct store *s, int format, struct flv_err *err)
{
    struct cli_doc d;
    cli_doc_init(&d, (enum cli_format)format);
    cli_doc_list(&d, NULL);
    store_walk(s, doc_name, &d);
    cli_doc_end(&d);
    flv_rc rc = cli_doc_finish(&d, err);
    if (rc == FLV_OK) {
        cli_put(&d.text);
    }
    cli_doc_deinit(&d);
    return rc;
}

static int list_run(struct flv_args *args, void *ctx)
{
    (void)ctx;
    const struct list_conf *conf = flv_args_conf(args);
    struct store s = {.folder_fd = -1};
    struct flv_err err = {0};
    flv_rc rc = store_open(&s, false, &err);
    if (rc == FLV_OK) {
        rc = conf->output == CLI_FORMAT_TABLE
                 ? print_table(&s, &err)
                 : print_doc(&s, conf->output, &err);
    }
    store_close(&s);
    return rc == FLV_OK ? 0 : cli_fail(&err);
}

static const struct flv_cmd list_cmd = {
    .name = "list",
    .about = "List the names of secrets; values are never shown",
    .opts = list_opts,
    .conf_size = sizeof(struct list_conf),
    .run = list_run,
};

static void put_name(void *arg, const char *name, const char *value)
{
    (void)arg;
    (void)value;
    puts(name);
}

/* For completion: one name a line, nothing else, also without a cluster. */
static int names_run(struct flv_args *args, void *ctx)
{
    (void)args;
    (void)ctx;
    struct store s = {.folder_fd = -1};
    struct flv_err err = {0};
    if (store_open(&s, false, &err) == FLV_OK) {
        store_walk(&s, put_name, NULL);
    }
    store_close(&s);
    return 0;
}

static const struct flv_cmd names_cmd = {
    .name = "names",
    .about = "Print the names of secrets, one a line",
    .flags = FLV_CMD_HIDDEN,
    .run = names_run,
};

/* ---- delete ----------------------------------------------------------------
 */

struct delete_conf {
    struct flv_list names;
};

static const struct flv_opt delete_opts[] = {
    {.name = "name",
     FLV_LIST(struct delete_conf, names),
     .flags = FLV_OPT_POSITIONAL | FLV_OPT_REQUIRED,
     .help = "Names of the secrets"},
    {.name = NULL}};

static flv_rc delete_one(const char *name, struct flv_err *err)
{
    struct store s = {.folder_fd = -1};
    flv_rc rc = store_open(&s, false, err);
    if (rc == FLV_OK && flv__secrets_find(&s.values, name) == NULL) {
        rc = flv_fail(err, FLV_E_NOT_FOUND, "secret \"%.60s\" not found", name);
    }
    rc = rc == FLV_OK ? store_put(&s, name, NULL, err) : rc;
    store_close(&s);
    return rc;
}

static int delete_run(struct flv_args *args, void *ctx)
{
    (void)ctx;
    const struct delete_conf *conf = flv_args_conf(args);
    int status = 0;
    for (size_t i = 0; i < conf->names.count; i++) {
        struct flv_err err = {0};
        if (delete_one(conf->names.items[i], &err) == FLV_OK) {
            printf("secret \"%s\" deleted\n", conf->names.items[i]);
        } else {
            status = cli_fail(&err);
        }
    }
    return status;
}

static const struct flv_cmd delete_cmd = {
    .name = "delete",
    .about = "Delete secrets",
    .opts = delete_opts,
    .conf_size = sizeof(struct delete_conf),
    .run = delete_run,
};

static const struct flv_cmd *const secret_commands[] = {
    &set_cmd, &list_cmd, &delete_cmd, &names_cmd, NULL};

const struct flv_cmd cli_cmd_secret = {
    .name = "secret",
    .about = "Manage the secrets that connectors use\n\n"
             "They are kept in a file of mode 0600 in the folder of the local "
             "cluster and reach a connector through an inherited descriptor.",
    .commands = secret_commands,
};

#include "cli/plugin.h"

#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 8192

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           access(path, X_OK) == 0;
}

/* out = "DIR/NAME" when that can be run. */
static bool try_folder(const char *dir,
                       size_t dir_len,
                       const char *name,
                       struct flv_buf *out)
{
    flv_buf_reset(out);
    if (flv_buf_add(out, dir, dir_len) != FLV_OK ||
        flv_buf_addf(out, "/%s", name) != FLV_OK) {
        return false;
    }
    const char *path = flv_buf_str(out);
    return path != NULL && is_program(path);
}

static bool try_beside(const char *name, struct flv_buf *out)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self);
    if (len <= 0 || (size_t)len >= sizeof self) {
        return false;
    }
    const char *slash = memrchr(self, '/', (size_t)len);
    return slash != NULL && try_folder(self, (size_t)(slash - self), name, out);
}

static bool try_path(const char *name, struct flv_buf *out)
{
    const char *path = getenv("PATH");
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        if (len > 0 && try_folder(path, len, name, out)) {
            return true;
        }
        path += len;
        path += *path == ':';
    }
    return false;
}

flv_rc
cli_program_find(const char *name, struct flv_buf *out, struct flv_err *err)
{
    if (try_beside(name, out) || try_path(name, out)) {
        return FLV_OK;
    }
    return flv_fail(err, FLV_E_NOT_FOUND,
                    "%s is neither beside this program nor in PATH; install "
                    "it or add its folder to PATH",
                    name);
}

static bool try_extensions(const char *name, struct flv_buf *out)
{
    const char *dir = getenv("FLUVIO_EXTENSIONS_DIR");
    if (dir != NULL && dir[0] != '\0') {
        return try_folder(dir, strlen(dir), name, out);
    }
    struct flv_buf home;
    flv_buf_init(&home, PATH_BYTES_MAX);
    bool found = cli_home(&home, NULL) == FLV_OK &&
                 flv_buf_add_str(&home, "/extensions") == FLV_OK &&
                 try_folder((const char *)home.data, home.len, name, out);
    flv_buf_deinit(&home);
    return found;
}

/* Commands of Fluvio that are not here say why, not that they are unknown. */
static const char *why_absent(const char *word)
{
    static const struct {
        const char *word, *why;
    } all[] = {
        {"remote", "this version has no mirroring between clusters"},
        {"home", "this version has no mirroring between clusters"},
        {"hub", "this version has no package hub; create SmartModules from "
                "files with `fluvio smartmodule create`, and see `fluvio "
                "connector catalog` for connectors"},
        {"cloud", "InfinyOn Cloud needs its plugin `fluvio-cloud`; connectors "
                  "of this machine are managed by `fluvio connector`"},
        {"install", "this version installs no packages; use those of your "
                    "system"},
        {"update", "this version does not update itself; use the packages of "
                   "your system"},
        {"derivedstream", "derived streams of Fluvio 0.9 are gone; give "
                          "`fluvio consume` a chain with --transforms"},
        {"metadata", "this version has no command metadata; `fluvio version` "
                     "tells the versions"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(word, all[i].word) == 0) {
            return all[i].why;
        }
    }
    return NULL;
}

static int not_found(const char *word)
{
    if (why_absent(word) != NULL) {
        return cli_failf("fluvio %s: %s", word, why_absent(word));
    }
    fprintf(stderr,
            "Unable to find plugin 'fluvio-%s'. Make sure it is executable "
            "and in your PATH.\n"
            "`fluvio --help` lists the commands of this version.\n",
            word);
    return CLI_EXIT_FAILURE;
}

int cli_plugin_run(char *const *words)
{
    char name[256];
    struct flv_buf path;
    int len = snprintf(name, sizeof name, "fluvio-%s", words[0]);
    if (len < 0 || (size_t)len >= sizeof name || strchr(name, '/') != NULL) {
        return not_found(words[0]);
    }
    flv_buf_init(&path, PATH_BYTES_MAX);
    if (!try_extensions(name, &path) && !try_beside(name, &path) &&
        !try_path(name, &path)) {
        flv_buf_deinit(&path);
        return not_found(words[0]);
    }
    /* The plugin gets the default action back that cli_main() changed. */
    signal(SIGPIPE, SIG_DFL);
    execv((const char *)path.data, words);
    int sys = errno;
    int status =
        cli_failf("cannot run %s: %s", (const char *)path.data, strerror(sys));
    flv_buf_deinit(&path);
    return status;
}
